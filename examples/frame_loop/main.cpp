// A game's loop: the model gets a slice of every frame and no thread of its own.
#include <chrono>
#include <cstdio>
#include <thread>

#define INLAY_IMPLEMENTATION
#include <inlay.hpp>

int main(int argc, char** argv) {
  if (argc < 2) return std::fputs("usage: frame_loop MODEL [PROMPT]\n", stderr), 2;
  const auto fail = [](const inlay::Error& e) {
    return std::fprintf(stderr, "%s\n", e.message()), 1;
  };

  auto model = inlay::Model::open(argv[1]);
  if (!model) return fail(model.error());
  inlay::SessionOptions options;
  options.context = 512;  // all memory is taken here; no step allocates
  options.max_tokens = 100;
  auto session = inlay::Session::create(*model, options);
  if (!session) return fail(session.error());
  if (auto ready = session->prompt(argc > 2 ? argv[2] : "void update(float dt) {\n"); !ready) {
    return fail(ready.error());
  }

  using Clock = std::chrono::steady_clock;
  Clock::duration worst{};
  int frames = 0;
  for (bool writing = true; writing; ++frames) {
    const auto frame_start = Clock::now();
    const inlay::Step step = session->step(2000);  // 2 ms of a frame's 16
    if (Clock::now() - frame_start > worst) worst = Clock::now() - frame_start;
    if (step == inlay::Step::piece) {
      const std::string_view text = session->piece().text;
      std::fwrite(text.data(), 1, text.size(), stdout);
    }
    writing = step == inlay::Step::piece || step == inlay::Step::more;
    // … the rest of the frame: simulation, drawing …
    std::this_thread::sleep_until(frame_start + std::chrono::milliseconds(16));
  }
  const double worst_ms = std::chrono::duration<double, std::milli>(worst).count();
  std::fprintf(stderr, "\n%d frames, longest step %.2f ms\n", frames, worst_ms);
  return session->status() ? 0 : fail(session->status().error());
}
