;; SPDX-License-Identifier: Apache-2.0
;; M5 M10: nothing at all: every missing export is named at once.
(module)
