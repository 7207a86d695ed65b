// Both versions in one program, by the linker.
#include <cstdio>
#include <cstring>

extern "C" int complete_old(const char* path, const char** version);
extern "C" int complete_new(const char* path, const char** version);

int main(int argc, char** argv) {
  const char* versions[2] = {"", ""};
  if (argc < 2 || complete_old(argv[1], &versions[0]) < 0 || complete_new(argv[1], &versions[1]) < 0) return 1;
  std::printf("%s and %s\n", versions[0], versions[1]);
  return std::strcmp(versions[0], versions[1]) != 0 ? 0 : 1;
}
