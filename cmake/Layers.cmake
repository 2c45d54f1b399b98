# SPDX-License-Identifier: Apache-2.0
#
# Which module may use which: ARCHITECTURE.md, "Modules", as data. Read by
# cmake/CaxtonModule.cmake (link dependencies) and tools/check-layers (includes),
# so keep the form: one string a line, "module layer may-use...".
#
# "+ lower" of the architecture's table is written out here: every module of a
# lower layer except wasm, examine and worker, so that the server never links
# Wasmtime. examine and worker have no journal: caxton-worker links no RocksDB.
# worker is of examine's layer and names it: the one dependency inside a layer.
set(CAXTON_LAYERS
  "base        0"
  "model       1 base"
  "telemetry   1 base"
  "platform    1 base"
  "wasm        2 base model telemetry platform"
  "journal     2 base model telemetry platform"
  "ipc         2 base model telemetry platform"
  "deployment  2 base model"
  "examine     3 base model telemetry platform wasm deployment"
  "worker      3 base model telemetry platform wasm ipc deployment examine"
  "supervisor  3 base model telemetry platform journal ipc deployment"
  "analysis    3 base model telemetry deployment"
  "audit       3 base model telemetry platform journal ipc deployment"
  "router      4 base model telemetry platform journal ipc deployment supervisor analysis audit"
  "validation  4 base model telemetry platform journal ipc deployment supervisor analysis audit"
  "controller  5 base model telemetry platform journal ipc deployment supervisor analysis audit router validation"
  "api         6 base model telemetry journal deployment analysis supervisor audit validation router controller"
  "dashboard   6 base model telemetry platform journal ipc deployment supervisor analysis audit router validation controller"
  "cli         6 base model deployment"
  "server      7 base model telemetry platform journal ipc deployment supervisor analysis audit router validation controller api dashboard"
)

# caxton_allowed_deps(MODULE OUT): the row of MODULE as a list; fails for a
# module that has no row.
function(caxton_allowed_deps module out)
  foreach(row IN LISTS CAXTON_LAYERS)
    string(REGEX REPLACE " +" ";" fields "${row}")
    list(POP_FRONT fields name layer)
    if(name STREQUAL module)
      set(${out} "${fields}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "Module '${module}' has no row in cmake/Layers.cmake.\n"
    "To fix: add it there and in ARCHITECTURE.md, with its layer.")
endfunction()

# caxton_layer_of(MODULE OUT): the layer's number.
function(caxton_layer_of module out)
  foreach(row IN LISTS CAXTON_LAYERS)
    if(row MATCHES "^${module} +([0-9]+)")
      set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "Module '${module}' has no row in cmake/Layers.cmake.")
endfunction()
