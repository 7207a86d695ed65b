// Both versions in one process, as plug-ins: loaded together, used, and gone when they are closed.
#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 4) return std::puts("usage: plugins MODEL OLD NEW"), 2;
  void* plugins[2] = {dlopen(argv[2], RTLD_NOW | RTLD_LOCAL), dlopen(argv[3], RTLD_NOW | RTLD_LOCAL)};
  const char* names[2] = {"complete_old", "complete_new"};
  using Complete = int(const char*, const char**);
  for (int i = 0; i < 2; ++i) {
    if (plugins[i] == nullptr) return std::puts(dlerror()), 1;
    const char* version = "";
    auto* complete = reinterpret_cast<Complete*>(dlsym(plugins[i], names[i]));
    if (complete == nullptr || complete(argv[1], &version) < 0) return std::puts("failed"), 1;
    std::printf("%s\n", version);
  }
  for (int i = 0; i < 2; ++i) {
    dlclose(plugins[i]);
    if (dlopen(argv[2 + i], RTLD_NOW | RTLD_NOLOAD) != nullptr) return std::puts("still loaded"), 1;
  }
  return 0;
}
