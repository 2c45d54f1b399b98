# SPDX-License-Identifier: Apache-2.0
#
#   caxton_guest(NAME SOURCES file... [CXX] [DEFINES NAME=VALUE...]
#                [MANIFEST file.json] [OUTPUT_DIR folder])
#
# Compiles an agent in C (with CXX: in C++) to OUTPUT_DIR/NAME.wasm (default:
# the build folder's examples/) and puts MANIFEST into its custom section
# `caxton.manifest`. One target, guest_NAME, part of `all` and of
# `caxton_examples`; property CAXTON_GUEST_MODULE of the target is the file.
#
# The guest compiler is clang with wasi-libc (Debian: clang lld llvm wasi-libc
# libclang-rt-14-dev-wasm32, for C++ libc++-14-dev-wasm32
# libc++abi-14-dev-wasm32), whatever builds the host: -DCAXTON_GUEST_CLANG=,
# -DCAXTON_GUEST_CLANGXX= and -DCAXTON_GUEST_OBJCOPY= name others, e.g. wasi-sdk's.

find_program(CAXTON_GUEST_CLANG NAMES clang clang-14 DOC "clang that builds guests in C")
find_program(CAXTON_GUEST_CLANGXX NAMES clang++ clang++-14 DOC "clang that builds guests in C++")
find_program(CAXTON_GUEST_OBJCOPY NAMES llvm-objcopy llvm-objcopy-14
  DOC "llvm-objcopy, puts the manifest into a guest")
foreach(program CLANG CLANGXX OBJCOPY)
  if(NOT CAXTON_GUEST_${program})
    message(FATAL_ERROR
      "No program for CAXTON_GUEST_${program}: the example agents cannot be built.\n"
      "To fix: tools/setup, or -DCAXTON_GUEST_${program}=PATH.")
  endif()
endforeach()

set(CAXTON_SDK_DIR ${CMAKE_CURRENT_LIST_DIR}/..)
if(NOT TARGET caxton_examples)
  add_custom_target(caxton_examples ALL)
endif()

# The recipe of sdk/c/README.md; keep the two alike.
set(CAXTON_GUEST_FLAGS
  --target=wasm32-wasi -mexec-model=reactor -O2 -Wall -Wextra -Werror
  -ffunction-sections -fdata-sections -fvisibility=hidden
  # The stack below the data: an overflow traps instead of overwriting them.
  -Wl,--stack-first -Wl,-z,stack-size=65536
  # No debug sections, but the names, for traces.
  -Wl,--strip-debug -Wl,--gc-sections)

function(caxton_guest name)
  cmake_parse_arguments(arg "CXX" "MANIFEST;OUTPUT_DIR" "SOURCES;DEFINES" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR
      "caxton_guest(${name}): needs SOURCES; what is '${arg_UNPARSED_ARGUMENTS}'?")
  endif()
  if(NOT arg_OUTPUT_DIR)
    set(arg_OUTPUT_DIR ${CMAKE_BINARY_DIR}/examples)
  endif()
  file(MAKE_DIRECTORY ${arg_OUTPUT_DIR})
  set(module ${arg_OUTPUT_DIR}/${name}.wasm)
  if(arg_CXX)
    set(compile ${CAXTON_GUEST_CLANGXX} -std=c++20 -fno-exceptions -fno-rtti
      -I${CAXTON_SDK_DIR}/cpp)
  else()
    set(compile ${CAXTON_GUEST_CLANG} -std=c11)
  endif()
  list(TRANSFORM arg_DEFINES PREPEND -D)
  list(TRANSFORM arg_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  set(add_manifest)
  if(arg_MANIFEST)
    cmake_path(ABSOLUTE_PATH arg_MANIFEST BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    set(add_manifest COMMAND ${CAXTON_GUEST_OBJCOPY}
      --add-section=caxton.manifest=${arg_MANIFEST} ${module})
  endif()
  add_custom_command(
    OUTPUT ${module}
    COMMAND ${compile} ${CAXTON_GUEST_FLAGS} -I${CAXTON_SDK_DIR}/c ${arg_DEFINES}
      ${arg_SOURCES} -o ${module}
    ${add_manifest}
    DEPENDS ${arg_SOURCES} ${arg_MANIFEST}
      ${CAXTON_SDK_DIR}/c/caxton.h ${CAXTON_SDK_DIR}/cpp/caxton.hpp
    COMMENT "Building agent ${name}.wasm"
    VERBATIM)
  add_custom_target(guest_${name} DEPENDS ${module})
  set_target_properties(guest_${name} PROPERTIES CAXTON_GUEST_MODULE ${module})
  add_dependencies(caxton_examples guest_${name})
  set_property(GLOBAL APPEND PROPERTY CAXTON_GUEST_MODULES ${module})
endfunction()
