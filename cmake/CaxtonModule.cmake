# SPDX-License-Identifier: Apache-2.0
#
# The three functions every folder under src/ is described with:
#
#   caxton_module(NAME LAYER n SOURCES file... [DEPS module...]
#                 [LIBS target...] [PUBLIC_LIBS target...])
#     Static library caxton_NAME with its own include root, include/. Without
#     SOURCES: a header-only module. DEPS are modules, checked against
#     cmake/Layers.cmake, and PUBLIC; LIBS (third parties) are PRIVATE: keep
#     them out of public headers, or say PUBLIC_LIBS.
#
#   caxton_testing(NAME SOURCES file... [DEPS module|module_testing...]
#                  [LIBS target...] [PUBLIC_LIBS target...])
#     Target caxton_NAME_testing: the module's fakes, include root
#     testing/include. Uses what the module may use, and its testing targets.
#
#   caxton_test(name MODULE module SOURCES file... [DEPS module|module_testing...]
#               [LIBS target...] [LABELS label...] [TIMEOUT seconds] [SERIAL])
#     Program bin/name, linked with GoogleTest's main and gmock, registered as
#     one ctest test, label "unit" unless said otherwise. The module itself and,
#     if there is one, its testing target are linked without being named.
#     MODULE may be left out outside src/: then every DEPS is allowed. SERIAL:
#     never beside another test.

include(${CMAKE_CURRENT_LIST_DIR}/Layers.cmake)

set(CAXTON_TEST_TIMEOUT_SECONDS 120)
# Says in a test's name which sanitizer it runs under.
set(CAXTON_TEST_SUFFIX "")
if(CAXTON_SANITIZE)
  string(REGEX REPLACE ",.*" "" CAXTON_TEST_SUFFIX ".${CAXTON_SANITIZE}")
endif()
set(CAXTON_TEST_ENVIRONMENT
  "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=halt_on_error=1:suppressions=${CMAKE_CURRENT_LIST_DIR}/tsan.supp")

# Compile options of our own code, and the parts of Abseil that everybody uses
# (shared libraries: --as-needed drops what a program does not).
add_library(caxton_common INTERFACE)
target_compile_features(caxton_common INTERFACE cxx_std_20)
target_compile_options(caxton_common INTERFACE
  -Wall -Wextra -Werror
  # Options structs are initialised by name and leave the rest to the defaults.
  -Wno-missing-field-initializers
  # False alarms of g++ 12's optimiser in libstdc++ (GCC bugs 105329, 105562);
  # clang and the sanitizers look for the same faults.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
target_link_libraries(caxton_common INTERFACE
  Threads::Threads
  absl::any_invocable absl::base absl::bits absl::btree absl::cleanup absl::cord
  absl::core_headers absl::fixed_array absl::flat_hash_map absl::flat_hash_set
  absl::function_ref absl::hash absl::inlined_vector absl::int128 absl::node_hash_map
  absl::optional absl::span absl::status absl::statusor absl::str_format absl::strings
  absl::time)

include(${CMAKE_CURRENT_LIST_DIR}/Precompiled.cmake)
if(CAXTON_PRECOMPILE)
  caxton_make_precompiled()
endif()

# The names of a DEPS list -> caxton_ targets, checked against `module`'s row
# unless `module` is empty. `testing` says whether _testing targets may appear.
function(caxton_resolve_deps what module testing deps out)
  set(targets)
  if(module)
    caxton_allowed_deps(${module} allowed)
    list(APPEND allowed ${module})
  endif()
  foreach(dep IN LISTS deps)
    string(REGEX REPLACE "^caxton_" "" dep "${dep}")
    string(REGEX REPLACE "_testing$" "" bare "${dep}")
    if(NOT bare STREQUAL dep AND NOT testing)
      message(FATAL_ERROR "${what} names ${dep}: fakes are for tests only.")
    endif()
    if(module AND NOT bare IN_LIST allowed)
      message(FATAL_ERROR "${what} may not use '${bare}': not in the row of '${module}' in "
        "cmake/Layers.cmake.\nTo fix: drop the dependency, or change the architecture first.")
    endif()
    list(APPEND targets caxton_${dep})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY CAXTON_NAMED_TARGETS ${targets})
  set(${out} "${targets}" PARENT_SCOPE)
endfunction()

# Takes "LAYER 2" as well as a bare "2" after the name.
function(caxton_module name)
  cmake_parse_arguments(arg "" "LAYER" "SOURCES;DEPS;LIBS;PUBLIC_LIBS" ${ARGN})
  if(NOT DEFINED arg_LAYER)
    list(POP_FRONT arg_UNPARSED_ARGUMENTS arg_LAYER)
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "caxton_module(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
  endif()
  caxton_layer_of(${name} layer)
  if(NOT layer EQUAL "${arg_LAYER}")
    message(FATAL_ERROR "caxton_module(${name}): layer ${arg_LAYER} here, ${layer} in Layers.cmake.")
  endif()
  caxton_resolve_deps("Module ${name}" ${name} FALSE "${arg_DEPS}" deps)
  set(include ${CMAKE_CURRENT_SOURCE_DIR}/include)
  if(arg_SOURCES)
    add_library(caxton_${name} STATIC ${arg_SOURCES})
    target_include_directories(caxton_${name}
      PUBLIC ${include} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(caxton_${name}
      PUBLIC ${deps} ${arg_PUBLIC_LIBS} caxton_common PRIVATE ${arg_LIBS})
    caxton_precompile(caxton_${name} LIBS ${arg_LIBS} ${arg_PUBLIC_LIBS})
  else()
    add_library(caxton_${name} INTERFACE)
    target_include_directories(caxton_${name} INTERFACE ${include})
    target_link_libraries(caxton_${name}
      INTERFACE ${deps} ${arg_PUBLIC_LIBS} ${arg_LIBS} caxton_common)
  endif()
  add_library(caxton::${name} ALIAS caxton_${name})
endfunction()

function(caxton_testing name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LIBS;PUBLIC_LIBS" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "caxton_testing(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
  endif()
  caxton_resolve_deps("The testing target of ${name}" ${name} TRUE "${arg_DEPS}" deps)
  list(APPEND deps caxton_${name})
  set(include ${CMAKE_CURRENT_SOURCE_DIR}/testing/include)
  if(arg_SOURCES)
    add_library(caxton_${name}_testing STATIC ${arg_SOURCES})
    target_include_directories(caxton_${name}_testing
      PUBLIC ${include} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/testing)
    target_link_libraries(caxton_${name}_testing
      PUBLIC ${deps} ${arg_PUBLIC_LIBS} caxton_common PRIVATE ${arg_LIBS})
    caxton_precompile(caxton_${name}_testing LIBS ${arg_LIBS} ${arg_PUBLIC_LIBS})
  else()
    add_library(caxton_${name}_testing INTERFACE)
    target_include_directories(caxton_${name}_testing INTERFACE ${include})
    target_link_libraries(caxton_${name}_testing
      INTERFACE ${deps} ${arg_PUBLIC_LIBS} ${arg_LIBS} caxton_common)
  endif()
endfunction()

# Takes "MODULE m" as well as a bare "m" after the name.
function(caxton_test name)
  cmake_parse_arguments(arg "SERIAL" "MODULE;TIMEOUT" "SOURCES;DEPS;LIBS;LABELS" ${ARGN})
  if(NOT DEFINED arg_MODULE AND arg_UNPARSED_ARGUMENTS)
    list(POP_FRONT arg_UNPARSED_ARGUMENTS arg_MODULE)
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "caxton_test(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
  endif()
  if(NOT arg_MODULE)
    cmake_path(IS_PREFIX CAXTON_SRC_DIR ${CMAKE_CURRENT_SOURCE_DIR} in_src)
    if(in_src)
      message(FATAL_ERROR "caxton_test(${name}) under src/ needs MODULE.")
    endif()
  endif()
  caxton_resolve_deps("Test ${name}" "${arg_MODULE}" TRUE "${arg_DEPS}" deps)
  foreach(own caxton_${arg_MODULE}_testing caxton_${arg_MODULE})
    if(arg_MODULE AND TARGET ${own} AND NOT own IN_LIST deps)
      list(APPEND deps ${own})
    endif()
  endforeach()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${name}
    PRIVATE ${deps} ${arg_LIBS} caxton_common GTest::gmock GTest::gtest_main)
  caxton_precompile(${name} LIBS ${arg_LIBS})
  set(test ${name}${CAXTON_TEST_SUFFIX})
  add_test(NAME ${test} COMMAND ${name})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT ${CAXTON_TEST_TIMEOUT_SECONDS})
  endif()
  set_tests_properties(${test} PROPERTIES LABELS "${arg_LABELS}"
    TIMEOUT ${arg_TIMEOUT} RUN_SERIAL ${arg_SERIAL} ENVIRONMENT "${CAXTON_TEST_ENVIRONMENT}")
endfunction()

# Called last: every target that a DEPS named must exist.
function(caxton_check_named_targets)
  get_property(named GLOBAL PROPERTY CAXTON_NAMED_TARGETS)
  list(REMOVE_DUPLICATES named)
  foreach(target IN LISTS named)
    if(NOT TARGET ${target})
      message(WARNING "A DEPS names ${target}, which no CMakeLists.txt makes.")
    endif()
  endforeach()
endfunction()
