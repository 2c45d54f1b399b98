# SPDX-License-Identifier: Apache-2.0
#
# Target Wasmtime::wasmtime: Wasmtime's C API with its C and C++ headers, as one
# static library. third_party/wasmtime/build makes it once, outside every build
# folder, and is quick when it is there. -DWASMTIME_ROOT=FOLDER (with include/
# and lib/) takes a ready one instead.
set(WASMTIME_ROOT "" CACHE PATH "A ready Wasmtime C API; empty: build it into the user's cache")

set(wasmtime_root "${WASMTIME_ROOT}")
if(NOT wasmtime_root)
  execute_process(
    COMMAND ${CMAKE_SOURCE_DIR}/third_party/wasmtime/build
    OUTPUT_VARIABLE wasmtime_root OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
endif()
# Another version's files change what configuring finds.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/third_party/wasmtime/Cargo.toml
  ${CMAKE_SOURCE_DIR}/third_party/wasmtime/Cargo.lock)

find_file(wasmtime_header wasmtime.hh PATHS ${wasmtime_root}/include NO_DEFAULT_PATH NO_CACHE)
find_library(wasmtime_library NAMES caxton_wasmtime wasmtime
  PATHS ${wasmtime_root}/lib NO_DEFAULT_PATH NO_CACHE)
if(NOT wasmtime_header OR NOT wasmtime_library)
  message(FATAL_ERROR "No Wasmtime C API in ${wasmtime_root}: include/wasmtime.hh or "
    "lib/libcaxton_wasmtime.a is missing.\nTo fix: remove that folder and configure again.")
endif()
message(STATUS "Wasmtime: ${wasmtime_root}")

add_library(Wasmtime::wasmtime STATIC IMPORTED GLOBAL)
set_target_properties(Wasmtime::wasmtime PROPERTIES
  IMPORTED_LOCATION ${wasmtime_library}
  INTERFACE_INCLUDE_DIRECTORIES ${wasmtime_root}/include
  INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
