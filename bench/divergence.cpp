// How far logits are from a reference's: for each position the Kullback-Leibler divergence (nats)
// of softmax(OTHER) from softmax(REFERENCE) and whether the most probable token is the same.
//   bench_divergence VOCABULARY REFERENCE OTHER         files: float32 [positions][VOCABULARY]
// Prints one line per position: divergence; 1 or 0; the error of the logits, as their root mean
// square distance over the reference's standard deviation, a constant shift left out.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

// Logits to logarithms of probabilities.
void log_softmax(std::vector<float>& row) {
  const double most = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp(x - most);
  const double shift = most + std::log(sum);
  for (float& x : row) x = static_cast<float>(x - shift);
}

bool read_row(std::FILE* file, std::vector<float>& row) {
  return std::fread(row.data(), sizeof(float), row.size(), file) == row.size();
}

double logit_error(const std::vector<float>& p, const std::vector<float>& q) {
  double p1 = 0, p2 = 0, d1 = 0, d2 = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double d = static_cast<double>(q[i]) - p[i];
    p1 += p[i], p2 += static_cast<double>(p[i]) * p[i], d1 += d, d2 += d * d;
  }
  const double n = static_cast<double>(p.size());
  return std::sqrt((d2 - d1 * d1 / n) / (p2 - p1 * p1 / n));
}

}  // namespace

int main(int argc, char** argv) {
  const size_t vocabulary = argc == 4 ? std::strtoul(argv[1], nullptr, 10) : 0;
  if (vocabulary == 0) {
    std::fprintf(stderr, "usage: bench_divergence VOCABULARY REFERENCE OTHER\n");
    return 2;
  }
  std::FILE* reference = std::fopen(argv[2], "rb");
  std::FILE* other = std::fopen(argv[3], "rb");
  if (reference == nullptr || other == nullptr) {
    std::perror(reference == nullptr ? argv[2] : argv[3]);
    return 1;
  }
  std::vector<float> p(vocabulary), q(vocabulary);
  while (read_row(reference, p) && read_row(other, q)) {
    const bool same = std::max_element(p.begin(), p.end()) - p.begin() ==
                      std::max_element(q.begin(), q.end()) - q.begin();
    const double error = logit_error(p, q);
    log_softmax(p);
    log_softmax(q);
    // sum of p log(p/q), with p - q added to each term: the sum is the same and no term is
    // negative.
    double divergence = 0;
    for (size_t i = 0; i < vocabulary; ++i) {
      const double d = static_cast<double>(q[i]) - p[i];
      divergence += std::exp(static_cast<double>(p[i])) * (std::expm1(d) - d);
    }
    std::printf("%.9g %d %.6g\n", divergence, same ? 1 : 0, error);
  }
  std::fclose(reference);
  std::fclose(other);
  return 0;
}
