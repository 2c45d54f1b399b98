;; SPDX-License-Identifier: Apache-2.0
;; M10: four faults of different kinds, all reported at once.
(module
  (import "caxton" "open_socket" (func))
  (import "caxton" "now" (func (result i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc")))
