// SPDX-License-Identifier: Apache-2.0
//
// Names and help texts of Caxton's metrics: a public contract (docs/interfaces.md, "Names for
// operators"). Labels in braces. Values.
#pragma once

#include "caxton/telemetry/metrics.h"

namespace caxton::telemetry::names {

// {strategy,status}
inline constexpr MetricName kDeploymentDuration = {"caxton_deployment_duration_seconds",
                                                   "Time from deploy to its end or RUNNING."};
// {stage}
inline constexpr MetricName kValidationTime = {"caxton_deployment_validation_time_seconds",
                                               "Time one validation stage took."};
// {reason}
inline constexpr MetricName kRollbacks = {"caxton_deployment_rollback_total",
                                          "Deployments rolled back."};
// {agent,version}
inline constexpr MetricName kVersionActive = {"caxton_agent_version_active",
                                              "1 while the version gets traffic."};
// {strategy,state}
inline constexpr MetricName kDeploymentsActive = {"caxton_deployments_active",
                                                  "Deployments that are not final."};
inline constexpr MetricName kDeploymentQueue = {"caxton_deployment_queue_length",
                                                "Deployments waiting for another of their agent."};
// {agent,version} each
inline constexpr MetricName kMessagesAccepted = {"caxton_messages_accepted_total",
                                                 "Messages taken responsibility for."};
inline constexpr MetricName kMessagesCompleted = {"caxton_messages_completed_total",
                                                  "Messages whose step committed."};
inline constexpr MetricName kMessagesDeadLettered = {"caxton_messages_dead_lettered_total",
                                                     "Messages that became dead letters."};
inline constexpr MetricName kMessagesRefused = {"caxton_messages_refused_total",
                                                "Messages refused before they were accepted."};
inline constexpr MetricName kProcessingDuration = {"caxton_message_processing_duration_seconds",
                                                   "From dispatch to a step's result."};
// {agent}
inline constexpr MetricName kQueueSize = {"caxton_message_queue_size",
                                          "Messages accepted and not completed."};
inline constexpr MetricName kStepRetries = {"caxton_step_retries_total",
                                            "Steps run again after a failure."};
// {agent,version} each
inline constexpr MetricName kAgentMemory = {"caxton_agent_memory_bytes",
                                            "Memory of the version's workers."};
inline constexpr MetricName kAgentCpu = {"caxton_agent_cpu_seconds_total",
                                         "CPU time of the version's workers."};
inline constexpr MetricName kWorkerRestarts = {"caxton_worker_restarts_total",
                                               "Workers replaced after they ended or misbehaved."};
// {agent,result}
inline constexpr MetricName kShadowCompared = {"caxton_shadow_compared_total",
                                               "Shadow steps compared with live ones."};
inline constexpr MetricName kCommitDuration = {"caxton_journal_commit_duration_seconds",
                                               "One group commit of the journal."};

}  // namespace caxton::telemetry::names
