// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/frames.h"

#include <gtest/gtest.h>

#include "caxton/base/random.h"
#include "caxton/base/wire.h"
#include "caxton/ipc/channel.h"
#include "caxton/ipc/compile_request.h"
#include "caxton/ipc/recent_messages.h"

namespace caxton::ipc {
namespace {

Configure SomeConfigure() {
  Configure c;
  c.agent = "greeter";
  c.revision = "greeter@7";
  c.limits.memory_bytes = 1 << 20;
  c.limits.instances = 3;
  c.settings = {{"a", "1"}, {"b", std::string("\0x", 2)}};
  c.reused_instances = true;
  c.pool_size = 4;
  c.init_seed[31] = 9;
  c.init_time_ns = 5;
  c.init_deadline_ns = 6;
  c.fuel_per_step = 7;
  return c;
}

Ready SomeReady() {
  Ready r;
  r.ok = true;
  r.detail = "why";
  r.engine = "wasmtime 48.0.8";
  r.config_hash = "abc";
  r.memory_bytes = 65536;
  r.not_enforced = {"network namespace: no"};
  return r;
}

DispatchHead SomeHead() {
  DispatchHead head;
  head.input.ticket = Ticket(11);
  head.input.seq = Seq(12);
  head.input.time_ns = 13;
  head.input.seed[0] = 14;
  head.input.has_key = true;
  head.deadline_ns = 15;
  return head;
}

TEST(Frames, ConfigureComesBack) {
  std::string bytes = "left over";
  EncodeConfigure(SomeConfigure(), &bytes);
  auto c = DecodeConfigure(bytes);
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->agent, "greeter");
  EXPECT_EQ(c->revision, "greeter@7");
  EXPECT_EQ(c->limits, SomeConfigure().limits);
  EXPECT_EQ(c->settings, SomeConfigure().settings);
  EXPECT_TRUE(c->reused_instances);
  EXPECT_EQ(c->pool_size, 4u);
  EXPECT_EQ(c->init_seed[31], 9);
  EXPECT_EQ(c->init_time_ns, 5);
  EXPECT_EQ(c->init_deadline_ns, 6);
  EXPECT_EQ(c->fuel_per_step, 7u);
}

TEST(Frames, ConfigureIsCheckedAgainstItsLimits) {
  std::string bytes;
  Configure c = SomeConfigure();
  c.pool_size = kMaxPoolSize + 1;
  EncodeConfigure(c, &bytes);
  EXPECT_FALSE(DecodeConfigure(bytes).ok());
  c = SomeConfigure();
  c.agent = std::string(kMaxAgentNameBytes + 1, 'a');
  EncodeConfigure(c, &bytes);
  EXPECT_FALSE(DecodeConfigure(bytes).ok());
  c = SomeConfigure();
  for (size_t i = 0; i <= kMaxSettings; ++i) c.settings[std::to_string(i)] = "";
  EncodeConfigure(c, &bytes);
  EXPECT_FALSE(DecodeConfigure(bytes).ok());
}

TEST(Frames, ADispatchIsItsHeadAndTheEnvelopeUntouched) {
  auto server = ServerChannel::Create({.ring_bytes = 4096});
  ASSERT_TRUE(server.ok());
  auto worker = WorkerChannel::AttachTo(**server, kDefaultMaxMessageBytes);
  ASSERT_TRUE(worker.ok());
  std::string scratch;
  ASSERT_TRUE(*TryWriteDispatch((*server)->to_worker(), SomeHead(), "envelope bytes", &scratch));
  (*server)->to_worker().Flush();
  Frame frame;
  ASSERT_TRUE(*(*worker)->from_server().TryRead(&frame));
  EXPECT_EQ(frame.type, static_cast<uint32_t>(FrameType::kDispatch));
  auto dispatch = DecodeDispatch(frame.bytes);
  ASSERT_TRUE(dispatch.ok()) << dispatch.status();
  EXPECT_EQ(dispatch->head.input.ticket, Ticket(11));
  EXPECT_EQ(dispatch->head.input.seq, Seq(12));
  EXPECT_EQ(dispatch->head.input.time_ns, 13);
  EXPECT_EQ(dispatch->head.input.seed[0], 14);
  EXPECT_TRUE(dispatch->head.input.has_key);
  EXPECT_EQ(dispatch->head.deadline_ns, 15);
  EXPECT_EQ(dispatch->envelope, "envelope bytes");
}

TEST(Frames, ADispatchNeedsATicket) {
  std::string bytes;
  DispatchHead head = SomeHead();
  head.input.ticket = Ticket();
  EncodeDispatchHead(head, &bytes);
  EXPECT_FALSE(DecodeDispatch(bytes).ok());
}

TEST(Frames, ReadyComesBackAndLongTextsAreCut) {
  std::string bytes;
  EncodeReady(SomeReady(), &bytes);
  auto ready = DecodeReady(bytes);
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_TRUE(ready->ok);
  EXPECT_EQ(ready->engine, "wasmtime 48.0.8");
  EXPECT_EQ(ready->config_hash, "abc");
  EXPECT_EQ(ready->memory_bytes, 65536u);
  EXPECT_EQ(ready->not_enforced, SomeReady().not_enforced);
  Ready longer;
  longer.detail = std::string(kMaxTextBytes + 1, 'x');
  longer.not_enforced.assign(kMaxReadyNotes + 1, "n");
  EncodeReady(longer, &bytes);
  ready = DecodeReady(bytes);
  ASSERT_TRUE(ready.ok());
  EXPECT_EQ(ready->detail.size(), kMaxTextBytes);
  EXPECT_EQ(ready->not_enforced.size(), kMaxReadyNotes);
}

TEST(Frames, HealthAndLogComeBack) {
  std::string bytes;
  EncodeHealthRequest({.nonce = 3}, &bytes);
  EXPECT_EQ(DecodeHealthRequest(bytes)->nonce, 3u);
  EncodeHealthAnswer({.nonce = 3, .ok = true, .code = -1, .detail = "d"}, &bytes);
  auto answer = DecodeHealthAnswer(bytes);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->nonce, 3u);
  EXPECT_TRUE(answer->ok);
  EXPECT_EQ(answer->code, -1);
  EXPECT_EQ(answer->detail, "d");
  EncodeLogLine({.level = 3, .text = "hello"}, &bytes);
  EXPECT_EQ(DecodeLogLine(bytes)->text, "hello");
  bytes[0] = 4;
  EXPECT_FALSE(DecodeLogLine(bytes).ok());
}

TEST(Frames, WhatAWorkerSaysIsShownAsUtf8) {
  std::string bytes;
  EncodeReady({.detail = "d\xff", .engine = "\xc3(", .not_enforced = {"\x80"}}, &bytes);
  EXPECT_EQ(DecodeReady(bytes)->detail, "d?");
  EXPECT_EQ(DecodeReady(bytes)->engine, "?(");
  EXPECT_EQ(DecodeReady(bytes)->not_enforced, std::vector<std::string>{"?"});
  EncodeHealthAnswer({.detail = "\xff"}, &bytes);
  EXPECT_EQ(DecodeHealthAnswer(bytes)->detail, "?");
  EncodeLogLine({.text = "\xff"}, &bytes);
  EXPECT_EQ(DecodeLogLine(bytes)->text, "?");
  // No character is cut in two at the limit.
  EncodeLogLine({.text = std::string(kMaxTextBytes - 1, 'x') + "\u00e9"}, &bytes);
  EXPECT_EQ(DecodeLogLine(bytes)->text, std::string(kMaxTextBytes - 1, 'x'));
}

template <typename Decode>
void EveryCutAndAdditionIsRefused(const std::string& bytes, Decode decode) {
  ASSERT_TRUE(decode(bytes).ok());
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode(bytes.substr(0, n)).ok()) << n;
  EXPECT_FALSE(decode(bytes + "x").ok());
}

TEST(Frames, DecodersAreStrict) {
  std::string bytes;
  EncodeConfigure(SomeConfigure(), &bytes);
  EveryCutAndAdditionIsRefused(bytes, DecodeConfigure);
  EncodeReady(SomeReady(), &bytes);
  EveryCutAndAdditionIsRefused(bytes, DecodeReady);
  EncodeHealthRequest({.nonce = 3}, &bytes);
  EveryCutAndAdditionIsRefused(bytes, DecodeHealthRequest);
  EncodeHealthAnswer({.detail = "d"}, &bytes);
  EveryCutAndAdditionIsRefused(bytes, DecodeHealthAnswer);
  EncodeLogLine({.text = "hello"}, &bytes);
  EveryCutAndAdditionIsRefused(bytes, DecodeLogLine);
  EncodeDispatchHead(SomeHead(), &bytes);
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(DecodeDispatch(bytes.substr(0, n)).ok());
}

TEST(Frames, RecentMessagesAreTheNewestThatFit) {
  const auto message = [](size_t n, size_t bytes) {
    Envelope envelope;
    envelope.id = std::to_string(n);
    envelope.content = std::string(bytes, 'x');
    std::string encoded;
    EncodeEnvelope(envelope, &encoded);
    return encoded;
  };
  std::vector<std::string> all;
  for (size_t i = 0; i < kMaxRecentMessages + 3; ++i) all.push_back(message(i, 1));
  const std::string bytes = EncodeRecentMessages(all);
  auto read = DecodeRecentMessages(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), kMaxRecentMessages);
  EXPECT_EQ(read->front().id, "3");
  EXPECT_EQ(read->back().id, std::to_string(kMaxRecentMessages + 2));
  EveryCutAndAdditionIsRefused(bytes, DecodeRecentMessages);

  const std::string large = message(1, kMaxRecentBytes / 2);
  EXPECT_EQ(DecodeRecentMessages(EncodeRecentMessages({large, large, message(2, 1)}))->size(), 2u);
  EXPECT_TRUE(DecodeRecentMessages(EncodeRecentMessages({}))->empty());
  std::string many;
  ByteWriter(&many).U32(kMaxRecentMessages + 1);
  many.append(kMaxRecentMessages * 8, '\0');
  EXPECT_FALSE(DecodeRecentMessages(many).ok());
}

TEST(Frames, CompileRequestComesBack) {
  Surroundings around;
  around.on_server = true;
  around.live = KnownRevision{"greeter", "greeter@6", {}};
  std::string encoded;
  EncodeSurroundings(around, &encoded);
  const std::string bytes = EncodeCompileRequest(SomeConfigure(), encoded);
  const auto request = DecodeCompileRequest(bytes);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->configure.revision, "greeter@7");
  EXPECT_EQ(request->surroundings, around);
  EveryCutAndAdditionIsRefused(bytes, DecodeCompileRequest);
}

TEST(Frames, RandomBytesNeverHarm) {
  SeededRandom random(7);
  std::string valid;
  EncodeConfigure(SomeConfigure(), &valid);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = valid.substr(0, random.Below(valid.size() + 1));
    for (int n = 0; n < 4 && !bytes.empty(); ++n) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Next64());
    }
    std::ignore = DecodeConfigure(bytes);
    std::ignore = DecodeReady(bytes);
    std::ignore = DecodeDispatch(bytes);
    std::ignore = DecodeHealthAnswer(bytes);
    std::ignore = DecodeLogLine(bytes);
  }
}

}  // namespace
}  // namespace caxton::ipc
