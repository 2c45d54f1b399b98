// SPDX-License-Identifier: Apache-2.0
//
// Whole commands against a scripted server in this process.
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <set>
#include <thread>

#include "caxton/base/mutex.h"
#include "caxton/base/strings.h"
#include "caxton/cli/testing/fake_environment.h"
#include "caxton/v1/agents.grpc.pb.h"
#include "caxton/v1/deployment.grpc.pb.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace caxton::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

grpc::Status Broken() { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed"); }

class ScriptedDeployments final : public v1::AgentDeployment::Service {
 public:
  v1::DeployRequest last;
  v1::ValidateAgentRequest validated;
  v1::ValidationReport report;
  size_t uploaded = 0;
  v1::DeployResponse answer;
  grpc::Status status;
  // One script for each WatchDeployment call: what it sends before it breaks off.
  std::deque<std::vector<v1::Deployment>> watches;
  int watch_calls = 0;
  v1::Deployment explanation;
  v1::ExplainDeploymentResponse explained;
  bool interrupts = false;  // a watch gets a signal, and nothing else

  grpc::Status DeployAgent(grpc::ServerContext*, const v1::DeployRequest* request,
                           v1::DeployResponse* response) override {
    last = *request;
    *response = answer;
    return status;
  }
  grpc::Status DeployAgents(grpc::ServerContext*, const v1::DeployAgentsRequest* request,
                            v1::DeployAgentsResponse* response) override {
    for (int i = 1; i <= request->deploy_size(); ++i) {
      if (answer.already_running()) {
        response->add_already_running(request->deploy(i - 1).name());
      } else {
        response->add_deployments()->set_deployment_id(StrCat("dep-", i));
      }
    }
    last = request->deploy(0);
    return status;
  }
  grpc::Status ValidateAgent(grpc::ServerContext*, const v1::ValidateAgentRequest* request,
                             v1::ValidateAgentResponse* response) override {
    validated = *request;
    *response->mutable_report() = report;
    return grpc::Status::OK;
  }
  grpc::Status RollbackDeployment(grpc::ServerContext*, const v1::RollbackRequest*,
                                  v1::RollbackResponse* response) override {
    response->set_to_revision("greeter@14");
    response->set_from_revision("greeter@15");
    return grpc::Status::OK;
  }
  grpc::Status ExplainDeployment(grpc::ServerContext*, const v1::ExplainDeploymentRequest*,
                                 v1::ExplainDeploymentResponse* response) override {
    *response = explained;
    *response->mutable_deployment() = explanation;
    return grpc::Status::OK;
  }
  grpc::Status UploadModule(grpc::ServerContext*,
                            grpc::ServerReader<v1::UploadModuleRequest>* reader,
                            v1::UploadModuleResponse* response) override {
    v1::UploadModuleRequest frame;
    while (reader->Read(&frame)) uploaded += frame.chunk().size();
    response->set_module_digest("d1ge57");
    return grpc::Status::OK;
  }
  grpc::Status WatchDeployment(grpc::ServerContext* call, const v1::WatchDeploymentRequest*,
                               grpc::ServerWriter<v1::WatchDeploymentResponse>* writer) override {
    ++watch_calls;
    if (interrupts) {
      kill(getpid(), SIGTERM);
      while (!call->IsCancelled()) std::this_thread::yield();
      return grpc::Status::CANCELLED;
    }
    if (watches.empty()) return Broken();
    for (const v1::Deployment& deployment : watches.front()) {
      v1::WatchDeploymentResponse event;
      *event.mutable_deployment() = deployment;
      writer->Write(event);
    }
    watches.pop_front();
    return Broken();
  }
};

class ScriptedMessaging final : public v1::Messaging::Service {
 public:
  std::set<uint64_t> refuse_once;  // by client_ref
  std::set<uint64_t> break_after;  // the stream breaks unanswered at these, once
  std::vector<v1::TailResponse> tail;
  size_t trimmed = 0;                // so many rows at the tail's beginning are not kept any more
  std::vector<std::string> letters;  // ids of greeter's dead letters
  std::string vanishes;              // somebody else takes this one when a call names it
  size_t attempts = 0;               // of each of them
  int selections = 0;                // calls of retry and drop
  bool slow = false;                 // and they run out of time
  bool missing = false;              // there is no such agent
  v1::Performative performative = v1::INFORM;

  std::vector<uint64_t> seen() {
    MutexLock lock(&mutex_);
    return seen_;
  }

  grpc::Status Request(grpc::ServerContext*, const v1::RequestRequest* request,
                       v1::RequestResponse* response) override {
    response->mutable_reply()->set_content("hello " + request->envelope().content());
    response->mutable_reply()->set_performative(performative);
    return grpc::Status::OK;
  }
  // Refuses as the contract says: after a refusal, the key's later ones too.
  grpc::Status Exchange(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ExchangeResponse, v1::ExchangeRequest>* stream) override {
    std::map<std::string, uint64_t> refused;
    v1::ExchangeRequest frame;
    while (stream->Read(&frame)) {
      v1::ExchangeResponse answer;
      for (const v1::ExchangeItem& item : frame.items()) {
        if (break_after.erase(item.client_ref()) > 0) return Broken();
        Answer(item, &refused, answer.add_results());
      }
      stream->Write(answer);
    }
    return grpc::Status::OK;
  }
  grpc::Status Tail(grpc::ServerContext*, const v1::TailRequest* request,
                    grpc::ServerWriter<v1::TailResponse>* writer) override {
    if (request->cursor().empty()) return grpc::Status::OK;  // from now on, and nothing comes
    const auto from = static_cast<size_t>(std::stoul(request->cursor()));
    for (size_t i = std::max(from, trimmed); i < tail.size(); ++i) {
      v1::TailResponse event = tail[i];
      event.set_cursor(StrCat(i + 1));
      writer->Write(event);
    }
    return grpc::Status::OK;
  }
  grpc::Status ListDeadLetters(grpc::ServerContext*, const v1::ListDeadLettersRequest* request,
                               v1::ListDeadLettersResponse* response) override {
    EXPECT_EQ(request->agent(), "greeter");
    auto at = request->page_token().empty()
                  ? letters.begin()
                  : std::next(std::find(letters.begin(), letters.end(), request->page_token()));
    for (int i = 0; i < request->page_size() && at != letters.end(); ++i) {
      response->add_dead_letters()->set_message_id(*at++);
    }
    if (at != letters.end()) response->set_next_page_token(*std::prev(at));
    return grpc::Status::OK;
  }
  grpc::Status GetDeadLetter(grpc::ServerContext*, const v1::GetDeadLetterRequest* request,
                             v1::GetDeadLetterResponse* response) override {
    response->mutable_dead_letter()->set_message_id(request->message_id());
    for (size_t i = 0; i < attempts; ++i) {
      response->mutable_dead_letter()->add_attempts()->set_outcome("trapped");
    }
    return grpc::Status::OK;
  }
  grpc::Status RetryDeadLetters(grpc::ServerContext*, const v1::RetryDeadLettersRequest* request,
                                v1::RetryDeadLettersResponse* response) override {
    const grpc::Status status = Select(request->selection());
    if (status.ok()) response->set_retried(request->selection().message_ids_size());
    return status;
  }
  grpc::Status DropDeadLetters(grpc::ServerContext*, const v1::DropDeadLettersRequest* request,
                               v1::DropDeadLettersResponse* response) override {
    const grpc::Status status = Select(request->selection());
    if (status.ok()) response->set_dropped(request->selection().message_ids_size());
    return status;
  }

 private:
  // Takes them all or, as the contract says, none.
  grpc::Status Select(const v1::DeadLetterSelection& selection) {
    ++selections;
    if (slow) return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded");
    for (const std::string& id : selection.message_ids()) {
      if (id == vanishes) std::erase(letters, id);
    }
    const std::set<std::string> there(letters.begin(), letters.end());
    const std::set<std::string> ids(selection.message_ids().begin(), selection.message_ids().end());
    if (!std::includes(there.begin(), there.end(), ids.begin(), ids.end())) {
      google::rpc::Status details;
      google::rpc::ErrorInfo info;
      info.set_reason("NO_SUCH_DEAD_LETTER");
      details.add_details()->PackFrom(info);
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "some are none",
                          details.SerializeAsString());
    }
    std::erase_if(letters, [&ids](const std::string& id) { return ids.contains(id); });
    return grpc::Status::OK;
  }
  void Answer(const v1::ExchangeItem& item, std::map<std::string, uint64_t>* refused,
              v1::ExchangeResult* result) {
    const uint64_t number = item.client_ref();
    result->set_client_ref(number);
    if (missing) {
      result->mutable_error()->set_code(static_cast<int>(grpc::StatusCode::NOT_FOUND));
      result->mutable_error()->set_message("there is no agent");
      return;
    }
    const auto held = refused->find(item.envelope().key());
    const bool first = refuse_once.erase(number) > 0;
    if (first || (held != refused->end() && held->second != number)) {
      if (first) (*refused)[item.envelope().key()] = number;
      result->mutable_error()->set_code(static_cast<int>(grpc::StatusCode::RESOURCE_EXHAUSTED));
      result->mutable_error()->set_reason(first ? "QUEUE_FULL" : "AFTER_REFUSAL");
      return;
    }
    refused->erase(item.envelope().key());
    {
      MutexLock lock(&mutex_);
      seen_.push_back(number);
    }
    if (item.want_reply()) {
      result->mutable_reply()->mutable_reply()->set_content(item.envelope().content());
      result->mutable_reply()->mutable_reply()->set_performative(performative);
    } else {
      result->mutable_ack()->set_message_id("m");
    }
  }

  Mutex mutex_;
  std::vector<uint64_t> seen_ ABSL_GUARDED_BY(mutex_);
};

class OneAgent final : public v1::Agents::Service {
 public:
  int64_t completed = 0;

  grpc::Status GetAgent(grpc::ServerContext*, const v1::GetAgentRequest* request,
                        v1::GetAgentResponse* response) override {
    if (request->name() != "greeter") {
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "there is no agent " + request->name());
    }
    response->mutable_agent()->set_name("greeter");
    response->mutable_agent()->mutable_messages()->set_completed(completed);
    return grpc::Status::OK;
  }
  grpc::Status ListAgents(grpc::ServerContext*, const v1::ListAgentsRequest*,
                          v1::ListAgentsResponse* response) override {
    response->add_agents()->set_name("greeter");
    return grpc::Status::OK;
  }
};

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(64 << 20);
    builder.RegisterService(&deployments_);
    builder.RegisterService(&messaging_);
    builder.RegisterService(&agents_);
    server_ = builder.BuildAndStart();
    fake_.channel = server_->InProcessChannel(grpc::ChannelArguments());
    deployments_.answer.set_deployment_id("dep-1");
    module_ = ::testing::TempDir() + StrCat("greeter-", getpid(), ".wasm");
    std::ofstream(module_) << "wasm";
  }
  ~ClientTest() override {
    unlink(module_.c_str());
    server_->Shutdown();
  }

  static v1::Deployment At(v1::DeploymentState state, const std::string& stage = "") {
    v1::Deployment deployment;
    deployment.set_deployment_id("dep-1");
    deployment.set_revision("greeter@2");
    deployment.set_state(state);
    deployment.set_stage_name(stage);
    return deployment;
  }

  int Deploy(std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"deploy", module_, "--name", "greeter"};
    args.insert(args.end(), more.begin(), more.end());
    return fake_.Run(args);
  }

  ScriptedDeployments deployments_;
  ScriptedMessaging messaging_;
  OneAgent agents_;
  std::unique_ptr<grpc::Server> server_;
  testing::FakeEnvironment fake_;
  std::string module_;
};

TEST_F(ClientTest, DeployFollowsToRunning) {
  deployments_.watches = {{At(v1::VALIDATING, "validate"), At(v1::DEPLOYING, "canary 5%"),
                           At(v1::DEPLOYING, "canary 5%"), At(v1::RUNNING)}};
  EXPECT_EQ(Deploy(), 0) << fake_.err();
  EXPECT_EQ(fake_.out(), "greeter@2 is running (dep-1)\n");
  EXPECT_THAT(fake_.err(), HasSubstr("dep-1 greeter@2: DEPLOYING, canary 5%\n"));
  EXPECT_THAT(fake_.err(), Not(HasSubstr("\x1b")));
  EXPECT_EQ(deployments_.last.name(), "greeter");
  EXPECT_EQ(deployments_.last.wasm_module(), "wasm");
  EXPECT_THAT(deployments_.last.idempotency_key(), StartsWith("cli-"));
}

TEST_F(ClientTest, DeployRidesOverARestart) {
  deployments_.watches = {{At(v1::VALIDATING)}, {}, {At(v1::DEPLOYING)}, {At(v1::RUNNING)}};
  EXPECT_EQ(Deploy(), 0) << fake_.err();
  EXPECT_EQ(deployments_.watch_calls, 4);
  EXPECT_THAT(fake_.err(), HasSubstr("Connection to the server lost"));
}

TEST_F(ClientTest, DeployGivesUpAfterItsTimeout) {
  deployments_.watches = {{At(v1::VALIDATING)}};
  EXPECT_EQ(Deploy({"--timeout", "5s"}), 5);
  EXPECT_THAT(fake_.err(), HasSubstr("To fix: start the server again"));
}

TEST_F(ClientTest, OutcomesBecomeExitCodes) {
  deployments_.watches = {{At(v1::ROLLED_BACK)}};
  EXPECT_EQ(Deploy(), 4);
  v1::Deployment rejected = At(v1::FAILED);
  auto* stage = rejected.mutable_validation()->add_stages();
  stage->set_stage("static");
  stage->set_ran(true);
  stage->add_findings()->set_error(true);
  stage->mutable_findings(0)->set_message("no export handle_message");
  deployments_.watches = {{rejected}};
  EXPECT_EQ(Deploy(), 3);
  EXPECT_THAT(fake_.err(), HasSubstr("error: no export handle_message"));
  v1::Deployment paused = At(v1::DEPLOYING, "canary 5%");
  paused.set_paused(true);
  paused.set_inconclusive(true);
  deployments_.watches = {{paused}};
  EXPECT_EQ(Deploy(), 7);
}

TEST_F(ClientTest, ADeploymentThatGoesWellShowsItsWarnings) {
  v1::Deployment running = At(v1::RUNNING);
  running.mutable_validation()->set_passed(true);
  auto* stage = running.mutable_validation()->add_stages();
  stage->set_ran(true);
  stage->set_passed(true);
  stage->add_notes()->set_message("all is said");
  auto* finding = stage->add_findings();
  finding->set_message("resources.memory: it is tight");
  finding->set_fix("give it more");
  deployments_.watches = {{running}};
  EXPECT_EQ(Deploy(), 0);
  EXPECT_EQ(fake_.out(), "greeter@2 is running (dep-1)\n");
  EXPECT_THAT(fake_.err(),
              HasSubstr("Warning: resources.memory: it is tight\n  To fix: give it more\n"));
  EXPECT_THAT(fake_.err(), Not(HasSubstr("all is said")));
}

TEST_F(ClientTest, ValidateAgainstTellsTheServerLimitsAndSettings) {
  deployments_.report.set_passed(true);
  EXPECT_EQ(fake_.Run({"agent", "validate", module_, "--against", "greeter", "--memory", "8Mi",
                       "--set", "a=b"}),
            0)
      << fake_.err();
  EXPECT_EQ(deployments_.validated.name(), "greeter");
  EXPECT_EQ(deployments_.validated.overrides().limits().memory(), "8Mi");
  EXPECT_EQ(deployments_.validated.overrides().settings().at("a"), "b");
}

TEST_F(ClientTest, OneSignalEndsTheWaitForAGroup) {
  const std::string list = module_ + ".yaml";
  std::ofstream(list) << "- { agent: a, module: " << module_
                      << " }\n- { agent: b, module: " << module_
                      << " }\n- { agent: c, module: " << module_ << " }\n";
  deployments_.interrupts = true;
  EXPECT_EQ(fake_.Run({"deploy", "-f", list}), 130);
  EXPECT_EQ(deployments_.watch_calls, 1);
  EXPECT_THAT(fake_.err(), HasSubstr("The deployments go on. Watch them with `caxton deployment "
                                     "watch dep-1`, `caxton deployment watch dep-2`, `caxton "
                                     "deployment watch dep-3`.\n"));
  EXPECT_EQ(Deploy(), 130);
  EXPECT_THAT(fake_.err(),
              HasSubstr("The deployment goes on. Watch it with `caxton deployment watch dep-1`."));
  unlink(list.c_str());
}

TEST_F(ClientTest, RedrawsInATerminalOnlyAndNotWithNoColor) {
  fake_.environment.err_tty = true;
  deployments_.watches = {{At(v1::VALIDATING, "validate"), At(v1::RUNNING)}};
  EXPECT_EQ(Deploy(), 0);
  EXPECT_THAT(fake_.err(), HasSubstr("\x1b["));
  for (const auto& [name, value] : {std::pair("NO_COLOR", "1"), std::pair("TERM", "dumb")}) {
    fake_.variables.clear();
    fake_.variables[name] = value;
    deployments_.watches = {{At(v1::VALIDATING, "validate"), At(v1::RUNNING)}};
    EXPECT_EQ(Deploy(), 0);
    EXPECT_THAT(fake_.err(), Not(HasSubstr("\x1b")));
  }
}

TEST_F(ClientTest, WhoAsksIsTextWhateverUserHolds) {
  deployments_.watches = {{At(v1::RUNNING)}};
  fake_.variables["USER"] = "a\xff";
  EXPECT_EQ(Deploy(), 0) << fake_.err();
  EXPECT_EQ(deployments_.last.requested_by(), "a\\xff");
}

TEST_F(ClientTest, DeployJsonIsOneDocumentALine) {
  deployments_.watches = {{At(v1::VALIDATING), At(v1::RUNNING)}};
  EXPECT_EQ(Deploy({"--output", "json"}), 0);
  const std::string out = fake_.out();
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2);
  EXPECT_THAT(out, HasSubstr("\"state\":\"RUNNING\""));
}

TEST_F(ClientTest, TheSameContentAgainIsDone) {
  deployments_.answer.set_already_running(true);
  EXPECT_EQ(Deploy(), 0);
  EXPECT_THAT(fake_.out(), StartsWith("already running: greeter"));
}

TEST_F(ClientTest, AGroupThatRunsAlreadyIsDone) {
  const std::string list = module_ + ".yaml";
  std::ofstream(list) << "- { agent: a, module: " << module_
                      << " }\n- { agent: b, module: " << module_ << " }\n";
  deployments_.answer.set_already_running(true);
  EXPECT_EQ(fake_.Run({"deploy", "-f", list}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("already running: a has the same content"));
  EXPECT_THAT(fake_.out(), HasSubstr("already running: b has the same content"));
  EXPECT_EQ(deployments_.watch_calls, 0);
  EXPECT_EQ(fake_.Run({"deploy", "-f", list, "--output", "json"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("\"alreadyRunning\": [\n  \"a\",\n  \"b\"\n ]"));
}

TEST_F(ClientTest, DetachPrintsTheId) {
  EXPECT_EQ(Deploy({"--detach"}), 0);
  EXPECT_EQ(fake_.out(), "dep-1\n");
}

TEST_F(ClientTest, ALoadThatNobodyTakesLosesNothing) {
  messaging_.missing = true;
  for (const char* size : {"256", "4Ki"}) {  // in one frame, in several
    EXPECT_EQ(fake_.Run({"load", "nobody", "--count", "100", "--outstanding", "50", "--size", size,
                         "--output", "json"}),
              1);
    EXPECT_THAT(fake_.out(), HasSubstr("\"lost\": 0"));
    EXPECT_THAT(fake_.err(), HasSubstr("there is no agent"));
  }
}

TEST_F(ClientTest, ATailThatShowsNothingSaysHowToSeeMore) {
  v1::TailResponse row;
  row.mutable_envelope()->set_content("x");
  messaging_.tail = {row};
  EXPECT_EQ(fake_.Run({"message", "tail", "greeter"}), 0);
  EXPECT_EQ(fake_.out(), "");
  EXPECT_THAT(fake_.err(), HasSubstr("`--from start` shows the earlier messages"));
  EXPECT_EQ(fake_.Run({"message", "tail", "greeter", "--follow"}), 0);
  EXPECT_THAT(fake_.err(), HasSubstr("Waiting for new messages; `--from start`"));
  EXPECT_EQ(fake_.Run({"message", "tail", "greeter", "--from", "start"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr(" x\n"));
  EXPECT_EQ(fake_.err(), "");
}

TEST_F(ClientTest, ARollbackNamesTheAgentWhateverNamedIt) {
  EXPECT_EQ(fake_.Run({"rollback", "dep-1"}), 0);
  EXPECT_THAT(fake_.out(), StartsWith("greeter is back on greeter@14 (was greeter@15)"));
}

TEST_F(ClientTest, ExplainOfWhatWasCutShortComparesWithNoVerdict) {
  deployments_.explanation = At(v1::ROLLED_BACK);
  EXPECT_EQ(fake_.Run({"deployment", "explain", "dep-1"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("no verdict is on record: it ended before one.\n"));
  deployments_.explanation.mutable_verdict()->set_kind(v1::Verdict::FAILED);
  EXPECT_EQ(fake_.Run({"deployment", "explain", "dep-1"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("it DIFFERS from that verdict, which was FAILED - "));
}

TEST_F(ClientTest, ExplainTellsWhetherTheVerdictOnRecordWasMadeAgain) {
  deployments_.explanation = At(v1::DEPLOYING);
  deployments_.explained.set_evidence_count(40);
  deployments_.explained.set_matches_recorded(true);
  EXPECT_EQ(fake_.Run({"deployment", "explain", "dep-1"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("Verdict: not decided\n"));
  EXPECT_THAT(fake_.out(),
              HasSubstr("from 40 observations in the journal; nothing is decided yet"));
  deployments_.explanation = At(v1::RUNNING);
  for (v1::Verdict* verdict :
       {deployments_.explanation.mutable_verdict(), deployments_.explained.mutable_verdict()}) {
    verdict->set_kind(v1::Verdict::SUCCESSFUL);
    verdict->set_reason("0 of 200 first runs failed at 50%");
  }
  EXPECT_EQ(fake_.Run({"deployment", "explain", "dep-1"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("Verdict: SUCCESSFUL - 0 of 200 first runs failed at 50%\n"));
  EXPECT_THAT(fake_.out(), HasSubstr("it matches that verdict.\n"));
  deployments_.explained.set_matches_recorded(false);
  EXPECT_EQ(fake_.Run({"deployment", "explain", "dep-1"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("it DIFFERS from that verdict, which was SUCCESSFUL - 0 of "));
  // Of a replay of history: that is the verdict on record, there is no other.
  deployments_.explanation = At(v1::FAILED);
  *deployments_.explanation.mutable_history()->mutable_verdict() = deployments_.explained.verdict();
  deployments_.explained.set_matches_recorded(true);
  EXPECT_EQ(fake_.Run({"deployment", "explain", "dep-1"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("it matches that verdict.\n"));
}

TEST_F(ClientTest, LargeModulesAreUploaded) {
  std::ofstream(module_) << std::string(4 << 20, 'x');
  deployments_.watches = {{At(v1::RUNNING)}};
  EXPECT_EQ(Deploy(), 0);
  EXPECT_EQ(deployments_.uploaded, size_t{4} << 20);
  EXPECT_EQ(deployments_.last.module_digest(), "d1ge57");
}

TEST_F(ClientTest, RefusalsShowReasonAndFix) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  info.set_reason("DEPLOYMENT_IN_PROGRESS");
  (*info.mutable_metadata())["fix"] = "use --queue wait";
  details.add_details()->PackFrom(info);
  deployments_.status = grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "greeter is busy",
                                     details.SerializeAsString());
  EXPECT_EQ(Deploy(), 6);
  EXPECT_EQ(fake_.err(),
            "Error: greeter is busy\nReason: DEPLOYMENT_IN_PROGRESS\nTo fix: use --queue wait\n");
}

TEST_F(ClientTest, AMistypedAgentIsRecognized) {
  EXPECT_EQ(fake_.Run({"agent", "inspect", "greter"}), 1);
  EXPECT_THAT(fake_.err(), HasSubstr("did you mean 'greeter'?"));
}

TEST_F(ClientTest, RequestPrintsTheReplyAsItIs) {
  EXPECT_EQ(fake_.Run({"message", "request", "greeter", "--data", "you"}), 0);
  EXPECT_EQ(fake_.out(), "hello you");
  messaging_.performative = v1::FAILURE;
  EXPECT_EQ(fake_.Run({"message", "request", "greeter"}), 1);
}

TEST_F(ClientTest, LoadKeepsOrderThroughRefusalsAndLostConnections) {
  fake_.tick_ns = 1'000'000;
  messaging_.refuse_once = {5, 40};
  messaging_.break_after = {20, 60};
  EXPECT_EQ(fake_.Run({"load", "greeter", "--send", "--count", "100", "--keys", "3", "--retry",
                       "--outstanding", "16", "--output", "json"}),
            0)
      << fake_.out() << fake_.err();
  EXPECT_THAT(fake_.out(), HasSubstr("\"acknowledged\": 100"));
  EXPECT_THAT(fake_.out(), HasSubstr("\"lost\": 0"));
  EXPECT_THAT(fake_.out(), HasSubstr("\"reconnects\": 2"));
  // First sightings of each key are in order.
  std::map<uint64_t, uint64_t> last;
  std::set<uint64_t> once;
  for (uint64_t number : messaging_.seen()) {
    if (!once.insert(number).second) continue;
    EXPECT_GT(number, last[number % 3]);
    last[number % 3] = number;
  }
  EXPECT_EQ(once.size(), 100u);
}

TEST_F(ClientTest, LoadWithoutRetryEndsWithTheConnection) {
  messaging_.break_after = {10};
  EXPECT_EQ(fake_.Run({"load", "greeter", "--count", "100"}), 5);
  EXPECT_THAT(fake_.err(), HasSubstr("--ledger FILE or --retry"));
}

TEST_F(ClientTest, LoadCountsFailureReplies) {
  messaging_.performative = v1::FAILURE;
  EXPECT_EQ(fake_.Run({"load", "greeter", "--request", "--count", "5"}), 1);
  EXPECT_THAT(fake_.out(), HasSubstr("answered      5 (5 with FAILURE)"));
}

TEST_F(ClientTest, LedgerGoesOnAndIsVerifiedAgainstTheTail) {
  const std::string ledger = module_ + ".ledger";
  EXPECT_EQ(fake_.Run({"load", "head", "--send", "--count", "3", "--ledger", ledger}), 0);
  EXPECT_EQ(fake_.Run({"load", "head", "--send", "--count", "2", "--ledger", ledger}), 0);
  EXPECT_THAT(messaging_.seen(), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(fake_.Run({"load", "head", "--request", "--count", "2", "--ledger", ledger}), 2);

  std::string header;
  std::getline(std::ifstream(ledger), header);
  const std::string run = header.substr(header.find("run=") + 4, 8);
  for (int number : {1, 2, 3, 4}) {
    v1::TailResponse event;
    event.set_outcome("handled");
    event.mutable_envelope()->set_content(StrCat("n=", number, " key=", number, " run=", run));
    messaging_.tail.push_back(event);
  }
  const std::vector<std::string> verify = {
      "load", "head", "--ledger", ledger, "--verify-tail", "end", "--expect-from-ledger"};
  EXPECT_EQ(fake_.Run(verify), 1);
  EXPECT_THAT(fake_.out(), HasSubstr("expected 5, handled 4, dead-lettered 0, lost 1"));
  v1::TailResponse last = messaging_.tail.back();
  last.mutable_envelope()->set_content(StrCat("n=5 key=5 run=", run));
  messaging_.tail.push_back(last);
  EXPECT_EQ(fake_.Run(verify), 0) << fake_.out() << fake_.err();
  unlink(ledger.c_str());
}

TEST_F(ClientTest, ALateTailIsInconclusive) {
  const std::string ledger = module_ + ".ledger";
  EXPECT_EQ(
      fake_.Run({"load", "head", "--send", "--count", "5", "--keys", "1", "--ledger", ledger}), 0);
  std::string header;
  std::getline(std::ifstream(ledger), header);
  const std::string run = header.substr(header.find("run=") + 4, 8);
  const auto event = [&run](int number) {
    v1::TailResponse out;
    out.set_outcome("handled");
    out.mutable_envelope()->set_content(StrCat("n=", number, " key=0 run=", run));
    return out;
  };
  const std::vector<std::string> verify = {
      "load", "head", "--ledger", ledger, "--verify-tail", "greeter", "--expect-from-ledger"};
  // Nothing is kept: of an agent that handled nothing it is lost, else nobody can say.
  EXPECT_EQ(fake_.Run(verify), 1) << fake_.out();
  agents_.completed = 5;
  EXPECT_EQ(fake_.Run(verify), 7) << fake_.out();
  EXPECT_THAT(fake_.out(), HasSubstr("does not hold everything"));
  // Kept from 3 on.
  messaging_.tail = {event(3), event(4), event(5)};
  EXPECT_EQ(fake_.Run(verify), 7) << fake_.out();
  agents_.completed = 3;  // all that it ever handled is there
  EXPECT_EQ(fake_.Run(verify), 1) << fake_.out();
  // The oldest are trimmed.
  agents_.completed = 5;
  messaging_.tail = {event(1), event(2), event(3), event(4), event(5)};
  EXPECT_EQ(fake_.Run(verify), 0) << fake_.out();
  messaging_.trimmed = 2;
  EXPECT_EQ(fake_.Run(verify), 7) << fake_.out();
  messaging_.tail = {event(1), event(2), event(3), event(5)};
  EXPECT_EQ(fake_.Run(verify), 1) << fake_.out();
  EXPECT_THAT(fake_.out(), HasSubstr("lost 3"));
  unlink(ledger.c_str());
}

TEST_F(ClientTest, AllDeadLettersOfAnAgentGoSomeAtATime) {
  for (int i = 0; i < 2'350; ++i) messaging_.letters.push_back(StrCat("m-", i));
  EXPECT_EQ(fake_.Run({"dlq", "list", "--agent", "greeter", "--output", "json"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("m-2349"));
  EXPECT_EQ(fake_.Run({"dlq", "list", "greeter", "--agent", "greeter"}), 2);
  messaging_.vanishes = "m-777";
  EXPECT_EQ(fake_.Run({"dlq", "drop", "--agent", "greeter"}), 0) << fake_.err();
  EXPECT_EQ(fake_.out(), "2349 dropped\n");
  EXPECT_TRUE(messaging_.letters.empty());
  EXPECT_GE(messaging_.selections, 24);
  EXPECT_EQ(fake_.Run({"dlq", "drop", "--agent", "greeter"}), 0);
  EXPECT_EQ(fake_.out(), "0 dropped\n");
  messaging_.letters = {"a", "b"};
  EXPECT_EQ(fake_.Run({"dlq", "retry", "--agent", "greeter", "--output", "json"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("\"retried\": \"2\""));
  EXPECT_EQ(fake_.Run({"dlq", "drop", "a"}), 1);
}

TEST_F(ClientTest, ADeadLetterSaysThatOnlyTheNewestAttemptsAreKept) {
  messaging_.attempts = 15;
  EXPECT_EQ(fake_.Run({"dlq", "show", "m"}), 0);
  EXPECT_THAT(fake_.out(), Not(HasSubstr("newest")));
  messaging_.attempts = 16;
  EXPECT_EQ(fake_.Run({"dlq", "show", "m"}), 0);
  EXPECT_THAT(fake_.out(), HasSubstr("the newest 16 attempts"));
}

TEST_F(ClientTest, ADropThatTakesTooLongSaysThatItGoesOn) {
  messaging_.letters = {"a"};
  messaging_.slow = true;
  EXPECT_EQ(fake_.Run({"dlq", "drop", "--agent", "greeter"}), 1);
  EXPECT_THAT(fake_.err(), HasSubstr("it goes on"));
  EXPECT_THAT(fake_.err(), HasSubstr("`caxton dlq list --agent greeter`"));
}

}  // namespace
}  // namespace caxton::cli
