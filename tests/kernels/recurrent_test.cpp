// Recurrent kernels of every target that this CPU runs, against double precision. The bounds are
// carried along with what they bound: what a step is off is what the state was off, times what the
// step multiplies it with, and the step's own roundings.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "inlay/kernels/kernels.hpp"
#include "support/kernels.hpp"

namespace {

using namespace inlay::detail;
using inlay_test::for_each_target, inlay_test::random_floats;

constexpr double kHalfUlp = 0x1p-24;  // relative

double softplus(double x) { return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

constexpr size_t kGap = 3;  // floats between two rows, which nobody writes
constexpr float kUntouched = -7.0f;

void check_gaps(const std::vector<float>& out, size_t n, size_t stride) {
  for (size_t t = 0; t < n; ++t) {
    for (size_t g = 1; g <= kGap; ++g) CHECK(out[(t + 1) * stride - g] == kUntouched);
  }
}

// ---- conv1d -------------------------------------------------------------------------------------

struct ConvProblem {
  size_t channels, kernel, n, stride;
  std::vector<float> x, weight, bias, state, out;
  Conv1d conv{};

  ConvProblem(size_t c, size_t k, size_t tokens, bool with_bias, bool silu)
      : channels(c),
        kernel(k),
        n(tokens),
        stride(c + kGap),
        x(random_floats(tokens * stride, 2.0f, 1)),
        weight(random_floats(c * k, 1.0f, 2)),
        bias(random_floats(c, 0.5f, 3)),
        state(random_floats((k - 1) * c, 2.0f, 4)),
        out(tokens * stride, kUntouched) {
    conv.x_stride = conv.out_stride = stride;
    conv.weight = weight.data();
    conv.bias = with_bias ? bias.data() : nullptr;
    conv.channels = channels;
    conv.kernel = kernel;
    conv.silu = silu;
  }

  // Tokens in batches of `batch`, channels in tasks of `step`.
  void run(const Kernels& kernels, size_t batch, size_t step, bool in_place) {
    if (in_place) out = x;
    for (size_t t = 0; t < n; t += batch) {
      conv.n = std::min(batch, n - t);
      conv.x = (in_place ? out : x).data() + t * stride;
      conv.out = out.data() + t * stride;
      conv.state = state.data();
      for (size_t c = 0; c < channels; c += step) {
        recurrent_kernels(kernels).conv1d(conv, c, std::min(c + step, channels));
      }
    }
  }
};

// ---- ssm_scan -----------------------------------------------------------------------------------

struct ScanShape {
  bool a_per_state;
  size_t n_heads, n_groups, head_dim, d_state, n;
};

struct ScanProblem {
  ScanShape shape;
  size_t inner, x_stride, dt_stride, bc_stride;
  std::vector<float> x, dt, dt_bias, bc, a, d, state, out;
  SsmScan scan{};

  explicit ScanProblem(const ScanShape& s)
      : shape(s),
        inner(s.n_heads * s.head_dim),
        x_stride(inner + kGap),
        dt_stride(s.n_heads + kGap),
        bc_stride(2 * s.n_groups * s.d_state + kGap),
        x(random_floats(s.n * x_stride, 1.0f, 1)),
        dt(random_floats(s.n * dt_stride, 4.0f, 2)),
        dt_bias(random_floats(s.n_heads, 1.0f, 3)),
        bc(random_floats(s.n * bc_stride, 1.0f, 4)),
        a(random_floats(s.n_heads * (s.a_per_state ? s.d_state : 1), 1.0f, 5)),
        d(random_floats(s.n_heads, 1.0f, 6)),
        state(s.n_heads * (s.a_per_state ? s.d_state : state_floats(s.d_state, s.head_dim))),
        out(s.n * x_stride, kUntouched) {
    for (float& v : a) v = -0.01f - std::fabs(v) * 2;
    scan.x_stride = scan.out_stride = x_stride;
    scan.dt_stride = dt_stride;
    scan.dt_bias = dt_bias.data();
    scan.bc_stride = bc_stride;
    scan.a = a.data();
    scan.d = d.data();
    scan.state = state.data();
    scan.n_heads = s.n_heads;
    scan.n_groups = s.n_groups;
    scan.head_dim = s.head_dim;
    scan.d_state = s.d_state;
    scan.a_per_state = s.a_per_state;
  }

  void run(const Kernels& kernels, size_t batch, size_t step, bool in_place) {
    if (in_place) out = x;
    for (size_t t = 0; t < shape.n; t += batch) {
      scan.n = std::min(batch, shape.n - t);
      scan.x = (in_place ? out : x).data() + t * x_stride;
      scan.dt = dt.data() + t * dt_stride;
      scan.b = bc.data() + t * bc_stride;
      scan.c = scan.b + shape.n_groups * shape.d_state;
      scan.out = out.data() + t * x_stride;
      for (size_t h = 0; h < shape.n_heads; h += step) {
        recurrent_kernels(kernels).ssm_scan(scan, h, std::min(h + step, shape.n_heads));
      }
    }
  }

  void check() const {
    const double u = kHalfUlp;
    const size_t states = shape.d_state;
    for (size_t channel = 0; channel < inner; ++channel) {
      const size_t head = channel / shape.head_dim;
      const size_t group = head / (shape.n_heads / shape.n_groups);
      std::vector<double> s(states), off(states);
      for (size_t t = 0; t < shape.n; ++t) {
        const double raw = static_cast<double>(dt[t * dt_stride + head]) +
                           (scan.dt_bias != nullptr ? dt_bias[head] : 0.0f);
        const double step = softplus(raw), value = x[t * x_stride + channel];
        // 4 ulp of softplus, and a rounding of what it is of: its slope is below 1.
        const double step_off = 8 * u * step + u * std::fabs(raw);
        double y = 0, size = 0, y_off = 0;
        for (size_t i = 0; i < states; ++i) {
          const double rate = a[shape.a_per_state ? head * states + i : head];
          const double b = bc[t * bc_stride + group * states + i];
          const double c = bc[t * bc_stride + (shape.n_groups + group) * states + i];
          const double decay = std::exp(step * rate), in = value * step * b;
          // exp: 2 ulp and what its argument is off; the input two roundings and that of dt.
          const double decay_off = decay * (4 * u + std::fabs(rate) * (step_off + u * step));
          off[i] = off[i] * (decay + decay_off) + std::fabs(s[i]) * decay_off +
                   std::fabs(value * b) * (step_off + 2 * u * step);
          s[i] = s[i] * decay + in;
          off[i] += u * (std::fabs(s[i]) + off[i]);
          y += s[i] * c;
          size += std::fabs(s[i] * c);
          y_off += off[i] * std::fabs(c);
        }
        const double direct = (scan.d != nullptr ? d[head] : 0.0f) * value;
        const double tolerance = y_off * 1.001 +
                                 static_cast<double>(states + 2) * u * (size + std::fabs(direct)) +
                                 1e-37;
        CAPTURE(channel);
        CAPTURE(t);
        CHECK(std::fabs(out[t * x_stride + channel] - (y + direct)) <= tolerance);
      }
    }
    check_gaps(out, shape.n, x_stride);
  }
};

const ScanShape kScans[] = {
    {true, 1, 1, 1, 16, 5},  {true, 37, 1, 1, 16, 20},  {true, 64, 1, 1, 7, 9},
    {true, 20, 2, 1, 33, 6}, {false, 3, 1, 64, 16, 20}, {false, 4, 2, 32, 128, 7},
    {false, 4, 4, 7, 33, 9}, {false, 2, 1, 100, 8, 5},  {false, 5, 1, 1, 64, 12},
};

// ---- delta_rule ---------------------------------------------------------------------------------

struct DeltaShape {
  size_t n_heads, n_k_heads, head_k, head_v, n;
  bool grouped;
};

struct DeltaProblem {
  DeltaShape shape;
  size_t qk_stride, v_stride, gate_stride;
  std::vector<float> q, k, v, gate, beta, state, out;
  DeltaRule rule{};

  explicit DeltaProblem(const DeltaShape& s)
      : shape(s),
        qk_stride(s.n_k_heads * s.head_k + kGap),
        v_stride(s.n_heads * s.head_v + kGap),
        gate_stride(s.n_heads + kGap),
        q(random_floats(s.n * qk_stride, 1.0f, 1)),
        k(random_floats(s.n * qk_stride, 1.0f, 2)),
        v(random_floats(s.n * v_stride, 2.0f, 3)),
        gate(random_floats(s.n * gate_stride, 1.0f, 4)),
        beta(random_floats(s.n * gate_stride, 1.0f, 5)),
        state(random_floats(s.n_heads * state_floats(s.head_k, s.head_v), 0.5f, 6)),
        out(s.n * v_stride, kUntouched) {
    for (float& g : gate) g = -std::fabs(g);
    for (float& b : beta) b = std::fabs(b);
    for (size_t t = 0; t < s.n; ++t) {
      for (size_t h = 0; h < s.n_k_heads; ++h) {
        for (float* row : {&q[t * qk_stride + h * s.head_k], &k[t * qk_stride + h * s.head_k]}) {
          double squares = 0;
          for (size_t i = 0; i < s.head_k; ++i) squares += static_cast<double>(row[i]) * row[i];
          for (size_t i = 0; i < s.head_k; ++i) {
            row[i] = static_cast<float>(row[i] / std::sqrt(squares + 1e-30));
          }
        }
      }
    }
    rule.qk_stride = qk_stride;
    rule.v_stride = rule.out_stride = v_stride;
    rule.gate_stride = gate_stride;
    rule.state = state.data();
    rule.n_heads = s.n_heads;
    rule.n_k_heads = s.n_k_heads;
    rule.head_k = s.head_k;
    rule.head_v = s.head_v;
    rule.grouped = s.grouped;
    rule.scale = 1.0f / std::sqrt(static_cast<float>(s.head_k));
  }

  void run(const Kernels& kernels, size_t batch, size_t step, bool in_place) {
    if (in_place) out = v;
    for (size_t t = 0; t < shape.n; t += batch) {
      rule.n = std::min(batch, shape.n - t);
      rule.q = q.data() + t * qk_stride;
      rule.k = k.data() + t * qk_stride;
      rule.v = (in_place ? out : v).data() + t * v_stride;
      rule.gate = gate.data() + t * gate_stride;
      rule.beta = beta.data() + t * gate_stride;
      rule.out = out.data() + t * v_stride;
      for (size_t h = 0; h < shape.n_heads; h += step) {
        recurrent_kernels(kernels).delta_rule(rule, h, std::min(h + step, shape.n_heads));
      }
    }
  }

  // `before`: the state that it started from.
  void check(const std::vector<float>& before) const {
    const double u = kHalfUlp, size_k = static_cast<double>(shape.head_k);
    for (size_t h = 0; h < shape.n_heads; ++h) {
      const size_t k_head =
          shape.grouped ? h / (shape.n_heads / shape.n_k_heads) : h % shape.n_k_heads;
      for (size_t j = 0; j < shape.head_v; ++j) {
        std::vector<double> s(shape.head_k);
        for (size_t i = 0; i < shape.head_k; ++i) {
          s[i] = before[h * state_floats(shape.head_k, shape.head_v) +
                        (j / kStateBlock * shape.head_k + i) * kStateBlock + j % kStateBlock];
        }
        // The norm of what the column s is off. A step multiplies it with decay (1 - beta k k^T),
        // whose norm is at most 1, for that of k is 1.
        double off = 0;
        for (size_t t = 0; t < shape.n; ++t) {
          const float* key = &k[t * qk_stride + k_head * shape.head_k];
          const float* query = &q[t * qk_stride + k_head * shape.head_k];
          const double g = gate[t * gate_stride + h], decay = std::exp(g);
          const double by = beta[t * gate_stride + h],
                       value = v[t * v_stride + h * shape.head_v + j];
          double norm = 0, seen = 0;
          for (size_t i = 0; i < shape.head_k; ++i) {
            s[i] *= decay;
            seen += s[i] * key[i];
            norm += s[i] * s[i];
          }
          norm = std::sqrt(norm);
          const double change = by * (value - seen);
          // seen: head_k roundings of products that add up to at most the norm, and those of decay
          // (exp: 2 ulp); change: three.
          const double change_off = by * norm * (size_k + 6) * u + 3 * u * std::fabs(change);
          double after = 0, result = 0;
          for (size_t i = 0; i < shape.head_k; ++i) {
            s[i] += key[i] * change;
            after += s[i] * s[i];
            result += s[i] * query[i];
          }
          after = std::sqrt(after);
          off = off * (1 + 1e-6) + norm * 5 * u + change_off + u * std::fabs(change) + u * after;
          const double tolerance = rule.scale * (off + (size_k + 2) * u * after) * 1.001;
          CAPTURE(h);
          CAPTURE(j);
          CAPTURE(t);
          CHECK(std::fabs(out[t * v_stride + h * shape.head_v + j] - rule.scale * result) <=
                tolerance);
        }
      }
    }
    check_gaps(out, shape.n, v_stride);
  }
};

const DeltaShape kDeltas[] = {
    {4, 2, 128, 128, 12, false}, {4, 2, 32, 64, 20, true}, {6, 3, 33, 37, 9, false},
    {3, 3, 16, 7, 30, true},     {2, 1, 5, 1, 8, false},   {2, 1, 64, 100, 5, true},
};

// Any cut into batches of tokens and tasks, in place or not, leaves the same bits as one call.
template <class Problem, class Make>
void check_cuts(const Kernels& kernels, const Make& make, size_t n, size_t tasks) {
  Problem whole = make();
  whole.run(kernels, n, tasks, false);
  for (const size_t batch : {size_t{1}, size_t{2}, size_t{5}}) {
    for (const size_t step : {size_t{1}, size_t{3}, size_t{16}, tasks}) {
      for (const bool in_place : {false, true}) {
        CAPTURE(batch);
        CAPTURE(step);
        CAPTURE(in_place);
        Problem cut = make();
        cut.run(kernels, batch, step, in_place);
        CHECK(same_bits(cut.state, whole.state));
        if (!in_place) {
          CHECK(same_bits(cut.out, whole.out));
          continue;
        }
        const size_t stride = cut.out.size() / n;  // in the gaps, each has its own
        for (size_t t = 0; t < n; ++t) {
          CHECK(std::memcmp(&cut.out[t * stride], &whole.out[t * stride],
                            (stride - kGap) * sizeof(float)) == 0);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("conv1d equals the definition") {
  for_each_target([](const Kernels& kernels) {
    for (const size_t channels : {size_t{1}, size_t{7}, size_t{16}, size_t{33}, size_t{100}}) {
      for (size_t kernel = 1; kernel <= kMaxConvKernel; ++kernel) {
        for (int with = 0; with < 4; ++with) {
          CAPTURE(channels);
          CAPTURE(kernel);
          CAPTURE(with);
          const size_t n = 21;
          ConvProblem problem(channels, kernel, n, with % 2 != 0, with / 2 != 0);
          std::vector<float> inputs = problem.state;  // [kernel - 1 + n][channels]
          for (size_t t = 0; t < n; ++t) {
            const float* x = &problem.x[t * problem.stride];
            inputs.insert(inputs.end(), x, x + channels);
          }
          problem.run(kernels, n, channels, false);
          for (size_t t = 0; t < n; ++t) {
            for (size_t c = 0; c < channels; ++c) {
              double sum = with % 2 != 0 ? problem.bias[c] : 0.0f, size = std::fabs(sum);
              for (size_t i = 0; i < kernel; ++i) {
                const double product = static_cast<double>(problem.weight[c * kernel + i]) *
                                       inputs[(t + i) * channels + c];
                sum += product;
                size += std::fabs(product);
              }
              // A rounding of the sum for each product. SiLU's slope is below 1.1, and it has 5 ulp
              // of its own.
              double tolerance = static_cast<double>(2 * kernel) * kHalfUlp * size;
              if (with / 2 != 0) {
                sum = sum / (1 + std::exp(-sum));
                tolerance = 1.1 * tolerance + 10 * kHalfUlp * std::fabs(sum);
              }
              CHECK(std::fabs(problem.out[t * problem.stride + c] - sum) <= tolerance);
            }
          }
          check_gaps(problem.out, n, problem.stride);
          // The state: the last inputs, as they were.
          CHECK(same_bits(
              problem.state,
              {inputs.end() - static_cast<std::ptrdiff_t>((kernel - 1) * channels), inputs.end()}));
        }
      }
    }
  });
}

TEST_CASE("ssm_scan equals the definition") {
  for_each_target([](const Kernels& kernels) {
    for (const ScanShape& shape : kScans) {
      for (const bool bare : {false, true}) {
        CAPTURE(shape.n_heads);
        CAPTURE(shape.d_state);
        CAPTURE(bare);
        ScanProblem problem(shape);
        if (bare) problem.scan.dt_bias = problem.scan.d = nullptr;
        problem.run(kernels, shape.n, shape.n_heads, false);
        problem.check();
      }
    }
  });
}

TEST_CASE("delta_rule equals the definition") {
  for_each_target([](const Kernels& kernels) {
    for (const DeltaShape& shape : kDeltas) {
      CAPTURE(shape.head_k);
      CAPTURE(shape.head_v);
      DeltaProblem problem(shape);
      const std::vector<float> before = problem.state;
      problem.run(kernels, shape.n, shape.n_heads, false);
      problem.check(before);
    }
  });
}

TEST_CASE("recurrent kernels give the same bits for any cut into batches and tasks") {
  for_each_target([](const Kernels& kernels) {
    for (const size_t kernel : {size_t{1}, size_t{3}, size_t{4}}) {
      CAPTURE(kernel);
      check_cuts<ConvProblem>(
          kernels, [&] { return ConvProblem(70, kernel, 13, true, true); }, 13, 70);
    }
    for (const ScanShape& shape : kScans) {
      CAPTURE(shape.n_heads);
      CAPTURE(shape.d_state);
      check_cuts<ScanProblem>(
          kernels, [&] { return ScanProblem(shape); }, shape.n, shape.n_heads);
    }
    for (const DeltaShape& shape : kDeltas) {
      CAPTURE(shape.head_k);
      CAPTURE(shape.head_v);
      check_cuts<DeltaProblem>(
          kernels, [&] { return DeltaProblem(shape); }, shape.n, shape.n_heads);
    }
  });
}
