#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <inlay.hpp>
#include <string>
#include <vector>

#include "inlay/arch/phases-inl.hpp"

namespace {

using namespace inlay::detail;
using inlay::TensorType;
using inlay::detail::phase::RowTasks;

std::vector<const Kernels*> all_kernels() {
  const Kernels* kernels[8];
  const size_t n = runnable_kernels(kernels);
  return {kernels, kernels + n};
}

// [rows][cols] of Q8_0.
struct Matrix {
  std::vector<uint8_t> bytes;
  Weight weight;
  Matrix(uint32_t rows, uint32_t cols) {
    weight.type = TensorType::q8_0;
    weight.rows = rows;
    weight.cols = cols;
    bytes.resize(rows * weight.row_bytes());
    uint32_t random = rows;
    for (size_t i = 0; i < bytes.size(); ++i) {
      random = random * 1664525 + 1013904223;
      bytes[i] = i % 34 == 0 ? 0 : i % 34 == 1 ? 0x20 : static_cast<uint8_t>(random >> 24);
    }
    weight.data = bytes.data();
  }
};

// x, gate and up of n tokens, and what is computed of them.
struct FeedForward {
  static constexpr uint32_t kEmbd = 2048, kHidden = 96;
  const Kernels& kernels;
  uint32_t n;
  Matrix gate{kHidden, kEmbd}, up{kHidden, kEmbd}, down{kEmbd, kHidden};
  Hyper hyper;
  Needs needs;
  State s;
  std::vector<float> gates, ups, x, out;
  std::vector<uint8_t> memory;

  FeedForward(const Kernels& k, uint32_t tokens)
      : kernels(k),
        n(tokens),
        gates(size_t{n} * kHidden),
        ups(gates.size()),
        x(size_t{n} * kEmbd),
        out(x.size()) {
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    needs.widen(Buffer::x, kEmbd);
    needs.widen(Buffer::branch, kEmbd);
    needs.widen(Buffer::gate, kHidden);
    needs.widen(Buffer::up, kHidden);
    needs.quantized = kEmbd;
    needs.quantized_hidden = needs.matmul_k = kHidden;
    needs.task_values = true;
    s.kernels = &kernels;
    s.hparams = &hyper;
    s.needs = &needs;
    s.n = n;
    s.buffers[static_cast<size_t>(Buffer::x)] = x.data();
    s.buffers[static_cast<size_t>(Buffer::gate)] = gates.data();
    s.buffers[static_cast<size_t>(Buffer::up)] = ups.data();
    s.buffers[static_cast<size_t>(Buffer::branch)] = out.data();
  }
  // down(activation(gate) * up). With `in_buffers`, what `down` reads is quantized by a phase of
  // its own.
  std::vector<float> run(bool in_buffers = false) {
    const size_t quantized = round_up(quantized_capacity(needs, n), 64);
    const size_t hidden = round_up(quantized_hidden_capacity(needs, n), 64);
    memory.assign(quantized + hidden + phase_scratch_bytes(hyper, needs) + 64, 0);
    const size_t off = -reinterpret_cast<uintptr_t>(memory.data()) % 64;
    s.quantized = memory.data() + off;
    s.quantized_hidden = s.quantized + quantized;
    uint8_t* const scratch = s.quantized_hidden + hidden;
    for (uint32_t i = 0; i < phase::row_tasks(n); ++i) {
      phase::quantize_rows(s, Buffer::x, kEmbd, n, i);
    }
    GateUpWork work = {{&gate.weight, nullptr, Buffer::gate},
                       {&up.weight, nullptr, Buffer::up},
                       Buffer::x,
                       inlay::detail::Activation::silu,
                       nullptr,
                       /*quantize=*/!in_buffers};
    for (uint32_t i = 0; i < phase::count_gate_up(&work, &s); ++i) {
      phase::gate_up(&work, &s, i, scratch);
    }
    for (uint32_t i = 0; in_buffers && i < phase::row_tasks(n); ++i) {
      phase::quantize_rows(s, Buffer::gate, kHidden, n, i);
    }
    const MatmulWork last = {{{&down.weight, nullptr, Buffer::branch}}, 1, Buffer::gate, false};
    for (uint32_t i = 0; i < phase::count_matmul(&last, &s); ++i) {
      phase::matmul(&last, &s, i, scratch);
    }
    return out;
  }
  bool touches_buffers() const {
    const auto zero = [](float value) { return value == 0; };
    return !std::all_of(gates.begin(), gates.end(), zero) ||
           !std::all_of(ups.begin(), ups.end(), zero);
  }
};

// A plan, and what it needs, for kernels that quantize for halves too.
struct Plan {
  Kernels kernels = *all_kernels().front();
  Array<Phase> phases;
  Array<uint8_t> works;
  Needs needs;
  PlanWriter writer{kernels, &phases, &works, &needs};
  Weight q8_0, f16;
  Plan() : phases(inlay::Allocator()), works(inlay::Allocator()) {
    kernels.halves_columns = 40;
    REQUIRE(works.reserve(1 << 16));
    q8_0.type = TensorType::q8_0;
    f16.type = TensorType::f16;
    for (Weight* weight : {&q8_0, &f16}) {
      static constexpr uint8_t kAny[1] = {};
      weight->data = kAny;
      weight->rows = weight->cols = 32;
    }
  }
  // Of each phase that quantizes on its own, 'h' for halves and 'q' for others; else '.', or 'n' of
  // a norm that quantizes too.
  std::string seen() const {
    std::string text;
    for (const Phase& p : phases) {
      if (p.run == phase::quantize) {
        text += static_cast<const QuantizeWork*>(p.work)->halves ? 'h' : 'q';
      } else {
        text += p.run == phase::norm && static_cast<const NormWork*>(p.work)->quantize ? 'n' : '.';
      }
    }
    return text;
  }
};

}  // namespace

TEST_SUITE("phases") {
  TEST_CASE("a buffer is quantized once for all that read it, each way that one of them takes") {
    const auto plan_of = [](const auto& write) {
      Plan plan;
      write(plan, plan.writer);
      CHECK_FALSE(plan.writer.out_of_memory());
      return plan.seen();
    };
    const auto norm = [](PlanWriter& w) { w.norm({}, Buffer::x, Buffer::norm, 32); };
    const auto read = [](PlanWriter& w, Buffer from, const Weight& weight) {
      w.matmul(from, {{&weight, nullptr, Buffer::q}});
    };
    const auto both = [&](bool halves_first) {
      return plan_of([&](Plan& p, PlanWriter& w) {
        norm(w);
        read(w, Buffer::norm, halves_first ? p.f16 : p.q8_0);
        read(w, Buffer::norm, halves_first ? p.q8_0 : p.f16);
        read(w, Buffer::norm, p.f16);
        read(w, Buffer::norm, p.q8_0);
      });
    };
    CHECK(both(false) == "n.h...");
    CHECK(both(true) == ".h.q...");
    CHECK(plan_of([&](Plan& p, PlanWriter& w) {
            norm(w);
            w.matmul(Buffer::norm, {{&p.f16, nullptr, Buffer::q}, {&p.q8_0, nullptr, Buffer::k}});
          }) == ".hq.");
    // Written again: what is there is of old values.
    CHECK(plan_of([&](Plan& p, PlanWriter& w) {
            norm(w);
            read(w, Buffer::norm, p.q8_0);
            read(w, Buffer::norm, p.f16);
            norm(w);
            read(w, Buffer::norm, p.f16);
            norm(w);
            read(w, Buffer::norm, p.q8_0);
          }) == "n.h..h.n.");
    // Another buffer takes the place of both.
    CHECK(plan_of([&](Plan& p, PlanWriter& w) {
            norm(w);
            read(w, Buffer::norm, p.q8_0);
            read(w, Buffer::norm, p.f16);
            read(w, Buffer::attn, p.f16);
            read(w, Buffer::norm, p.q8_0);
            read(w, Buffer::norm, p.f16);
          }) == "n.h.h.q.h.");
    CHECK(plan_of([&](Plan& p, PlanWriter& w) {
            norm(w);
            read(w, Buffer::norm, p.q8_0);
            w.fills_quantized(2, 32);
            read(w, Buffer::norm, p.q8_0);
          }) == "n.q.");
  }

  TEST_CASE(
      "scratch memory for gate and up is there if a product with quantized weights reads it") {
    for (const bool quantized : {false, true}) {
      CAPTURE(quantized);
      Plan plan;
      const Weight& other = quantized ? plan.f16 : plan.q8_0;
      const Weight& down = quantized ? plan.q8_0 : plan.f16;
      plan.writer.norm({}, Buffer::x, Buffer::norm, 32);
      plan.writer.gate_up(Buffer::norm, {&other, nullptr, Buffer::gate},
                          {&other, nullptr, Buffer::up}, inlay::detail::Activation::silu);
      plan.writer.matmul(Buffer::gate, {{&down, nullptr, Buffer::branch}});
      const size_t bytes = phase_scratch_bytes({}, plan.needs);
      CHECK(bytes == round_up(matmul_scratch_bytes(32), kAlignment) +
                         (quantized ? phase::kTaskValues * sizeof(float) : 0));
      for (const Phase& p : plan.phases) {
        if (p.run != phase::gate_up) continue;
        CHECK(static_cast<const GateUpWork*>(p.work)->quantize == quantized);
      }
    }
  }

  TEST_CASE("tasks of a product take each row of each column once, and none is long") {
    for (const uint32_t rows : {1u, 16u, 100u, 2048u, 14336u}) {
      for (const uint32_t k : {64u, 2048u, 14336u, 53248u}) {
        for (const uint32_t n : {1u, 3u, 4u, 64u, 127u, 128u, 130u, 512u, 4096u}) {
          for (const uint32_t workers : {1u, 2u, 3u}) {
            CAPTURE(rows);
            CAPTURE(k);
            CAPTURE(n);
            const RowTasks tasks(rows, k / 2, size_t{k} * n, n, workers);
            std::vector<uint32_t> columns_of_row(rows);
            const uint32_t count = tasks.count();
            std::vector<RowTasks::Range> ranges;
            for (uint32_t i = 0; i < count; ++i) {
              const RowTasks::Range range = tasks.task(i);
              ranges.push_back(range);
              if (n < kQuantizeStep || i + workers >= count) continue;
              // A worker that draws in turn goes on where it was.
              const RowTasks::Range next = tasks.task(i + workers);
              const bool same_rows = next.begin == range.begin && next.end == range.end;
              CHECK((same_rows ? next.first_column == range.end_column : next.begin == range.end));
            }
            std::sort(ranges.begin(), ranges.end(),
                      [](const RowTasks::Range& a, const RowTasks::Range& b) {
                        return a.begin != b.begin ? a.begin < b.begin
                                                  : a.first_column < b.first_column;
                      });
            for (const RowTasks::Range& range : ranges) {
              const uint32_t end = std::min(n, range.end_column);
              REQUIRE(range.begin < range.end);
              REQUIRE(range.end <= rows);
              REQUIRE(range.first_column < end);
              CHECK(range.begin % kPanelRows == 0);
              CHECK(range.first_column % kQuantizeStep == 0);
              if (range.first_column > 0) CHECK(end >= kLeastTaskColumns);
              bool in_order = true;  // without a gap
              for (uint32_t row = range.begin; row < range.end; ++row) {
                in_order = in_order && columns_of_row[row] == range.first_column;
                columns_of_row[row] = end;
              }
              CHECK(in_order);
              if (n < kQuantizeStep) continue;
              const uint64_t columns = end - range.first_column;
              const uint64_t least =
                  RowTasks::kBatchRows * std::min<uint64_t>(columns, 2 * kLeastTaskColumns - 1);
              CHECK((range.end - range.begin) * columns * k <=
                    std::max<uint64_t>(25 << 20, least * k));
            }
            CHECK(std::count(columns_of_row.begin(), columns_of_row.end(), n) == rows);
          }
        }
      }
    }
  }

  TEST_CASE("gate and up stay in scratch memory if only their product is read: the same bits") {
    for (const Kernels* kernels : all_kernels()) {
      for (const uint32_t n : {1u, 3u, 7u, 64u, 260u}) {
        CAPTURE(kernels->name);
        CAPTURE(n);
        FeedForward in_scratch(*kernels, n), in_buffers(*kernels, n);
        const std::vector<float> out = in_scratch.run();
        CHECK_FALSE(in_scratch.touches_buffers());
        CHECK(out == in_buffers.run(/*in_buffers=*/true));
        CHECK(in_buffers.touches_buffers());
        CHECK(std::any_of(out.begin(), out.end(), [](float value) { return value != 0; }));
      }
    }
  }

  TEST_CASE("where products take less time, and start late, tasks take as many as fill it") {
    Kernels kernels = *all_kernels().front();
    kernels.batch_columns = 40;
    kernels.halves_columns = 13;
    kernels.batch_speed = 4;
    kernels.batch_start = 24;
    State s;
    s.kernels = &kernels;
    Weight weight;
    weight.type = TensorType::q8_0;
    weight.cols = 32;
    s.hurried = true;
    CHECK(phase::row_products(weight, 39, s) == 32 * 39);
    CHECK(phase::row_products(weight, 40, s) == 32 * (24 + 10));
    CHECK(phase::row_products(weight, 256, s) == 32 * (24 + 64));
    s.invariant = true;
    CHECK(phase::row_products(weight, 256, s) == 32 * 256);
    s.invariant = false;
    weight.type = TensorType::f16;
    CHECK(phase::row_products(weight, 12, s) == 32 * 12);
    CHECK(phase::row_products(weight, 16, s) == 32 * (24 + 4));
    CHECK(phase::row_products(weight, 256, s) == 32 * (24 + 64));
    weight.type = TensorType::f32;
    CHECK(phase::row_products(weight, 256, s) == 32 * 256);
    // A step without a budget takes twice the rows at once.
    s.hurried = false;
    CHECK(phase::row_products(weight, 256, s) == 32 * 256);
    weight.type = TensorType::q8_0;
    CHECK(phase::row_products(weight, 256, s) == 32 * (24 + 64) / 2);
  }
}
