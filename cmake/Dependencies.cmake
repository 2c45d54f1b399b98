# SPDX-License-Identifier: Apache-2.0
#
# Every third party, found once, here (Debian packages: tools/setup installs
# them). Link by these names:
#
#   absl::*  Threads::Threads  GTest::*  (linked by cmake/CaxtonModule.cmake)
#   spdlog::spdlog  fmt::fmt  yaml-cpp  nlohmann_json::nlohmann_json
#   CLI11::CLI11  OpenSSL::Crypto  OpenSSL::SSL  PkgConfig::httplib
#   prometheus-cpp::core  PkgConfig::seccomp  benchmark::benchmark
#   Not in sanitizer builds (they would have to be instrumented as well):
#   RocksDB::rocksdb-shared  gRPC::grpc++  gRPC::grpc++_reflection
#   protobuf::libprotobuf  gRPC::grpc_cpp_plugin  protobuf::protoc
#   Wasmtime::wasmtime (made by cmake/Wasmtime.cmake; for src/wasm only)

set(CMAKE_THREAD_PREFER_PTHREAD ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(GTest REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(benchmark REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(seccomp REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

if(NOT CAXTON_SANITIZED)
  find_package(Protobuf REQUIRED)
  find_package(gRPC REQUIRED)
  find_package(RocksDB REQUIRED)
endif()
