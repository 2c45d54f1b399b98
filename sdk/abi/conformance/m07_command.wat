;; SPDX-License-Identifier: Apache-2.0
;; M7: a command module.
(module
  (memory (export "memory") 2)
  (func (export "_start")))
