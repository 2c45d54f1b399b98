# SPDX-License-Identifier: Apache-2.0
#
# Precompiled headers: two thirds of what most of our files cost to compile is
# reading the same standard and Abseil headers. Read once, they make a build from
# nothing about a third shorter. Headers of third parties only: those do not change
# while one works.
#
#   caxton_precompile(TARGET [LIBS target...])
#
# A file must still include all that it uses: the preset `tsan` is built without
# (CAXTON_PRECOMPILE=OFF), and so finds what is missing.
option(CAXTON_PRECOMPILE "Precompile the headers that most files include" ON)

set(CAXTON_COMMON_HEADERS
  <algorithm> <array> <atomic> <cmath> <cstdint> <cstring> <deque> <filesystem> <fstream>
  <functional> <map> <memory> <mutex> <optional> <set> <span> <string> <string_view> <thread>
  <utility> <vector>
  <absl/base/thread_annotations.h> <absl/container/flat_hash_map.h>
  <absl/container/flat_hash_set.h> <absl/functional/any_invocable.h> <absl/status/status.h>
  <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_format.h>
  <absl/strings/str_join.h>)

# One for modules (position-independent code) and one for tests (executables, GoogleTest).
function(caxton_make_precompiled)
  set(source ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/precompiled.cc)
  add_library(caxton_precompiled STATIC ${source})
  target_link_libraries(caxton_precompiled PRIVATE caxton_common)
  target_precompile_headers(caxton_precompiled PRIVATE ${CAXTON_COMMON_HEADERS})
  add_executable(caxton_test_precompiled ${source})
  target_link_libraries(caxton_test_precompiled PRIVATE caxton_common GTest::gmock GTest::gtest)
  target_precompile_headers(caxton_test_precompiled
    PRIVATE ${CAXTON_COMMON_HEADERS} <gmock/gmock.h> <gtest/gtest.h>)
endfunction()

# What includes gRPC is compiled with other options, and has precompiled headers of its own.
function(caxton_precompile target)
  cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
  if(NOT CAXTON_PRECOMPILE OR "${arg_LIBS}" MATCHES "grpc|proto|gRPC")
    return()
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    target_precompile_headers(${target} REUSE_FROM caxton_test_precompiled)
  else()
    target_precompile_headers(${target} REUSE_FROM caxton_precompiled)
  endif()
endfunction()

# For what speaks the API: with gRPC as well. Not with CLI11 or generated code: they cost each file
# that gets them, used or not, more than reading them again where they are used.
function(caxton_precompile_api target)
  if(CAXTON_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${CAXTON_COMMON_HEADERS} <grpcpp/grpcpp.h>)
  endif()
endfunction()
