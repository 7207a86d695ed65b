#ifndef INLAY_CORE_SYSTEM_INL_HPP_
#define INLAY_CORE_SYSTEM_INL_HPP_

#include "inlay/core/system.hpp"

#ifdef _WIN32
#  ifndef WIN32_LEAN_AND_MEAN
#    define WIN32_LEAN_AND_MEAN
#  endif
#  ifndef NOMINMAX
#    define NOMINMAX
#  endif
#  include <windows.h>
#  if INLAY_HAS_THREADS
#    include <process.h>
#  endif
#else
#  include <time.h>
#  include <unistd.h>
#  if defined(__linux__) && defined(__aarch64__)
#    include <sys/auxv.h>
#  endif
#  if defined(__linux__) && defined(__x86_64__)
#    include <sys/syscall.h>
#  endif
#  if defined(__APPLE__) && defined(__aarch64__)
#    include <sys/sysctl.h>
#    include <sys/types.h>
#  endif
#  if INLAY_HAS_THREADS
#    include <sched.h>
#    include <signal.h>
#  endif
#  if INLAY_HAS_FILES
#    include <errno.h>
#    include <fcntl.h>
#    include <stdio.h>  // rename
#    include <sys/mman.h>
#    include <sys/stat.h>
#  elif defined(__linux__)
#    include <sys/mman.h>
#  endif
#endif

INLAY_BEGIN_NAMESPACE
namespace detail {

uint64_t now_us(const Clock& clock) noexcept {
  if (clock.now_us != nullptr) return clock.now_us(clock.user);
#ifdef _WIN32
  LARGE_INTEGER ticks, frequency;
  QueryPerformanceFrequency(&frequency);
  QueryPerformanceCounter(&ticks);
  const uint64_t t = static_cast<uint64_t>(ticks.QuadPart);
  const uint64_t f = static_cast<uint64_t>(frequency.QuadPart);
  return t / f * 1000000 + t % f * 1000000 / f;  // in two parts: t * 1000000 overflows after days
#else
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
#endif
}

void yield() noexcept {
#if INLAY_HAS_THREADS && defined(_WIN32)
  SwitchToThread();
#elif INLAY_HAS_THREADS
  sched_yield();
#endif
}

void prefer_huge_pages(void* memory, size_t bytes) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t kHugePage = uintptr_t{1} << 21;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t first = (begin + kHugePage - 1) & ~(kHugePage - 1);
  const uintptr_t last = (begin + bytes) & ~(kHugePage - 1);
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)bytes;
#endif
}

uint32_t cpu_count() noexcept {
#if !INLAY_HAS_THREADS
  return 1;
#elif defined(_WIN32)
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwNumberOfProcessors > 0 ? static_cast<uint32_t>(info.dwNumberOfProcessors) : 1;
#else
#  if defined(__linux__) && defined(CPU_COUNT)
  cpu_set_t set;  // what taskset or a container leaves of the machine
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int n = CPU_COUNT(&set);
    if (n > 0) return static_cast<uint32_t>(n);
  }
#  endif
  const long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? static_cast<uint32_t>(n) : 1;
#endif
}

#if defined(__aarch64__) || defined(_M_ARM64)
ArmFeatures arm_features() noexcept {
#  if defined(_WIN32)
  return {IsProcessorFeaturePresent(43) != 0,   // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
          IsProcessorFeaturePresent(66) != 0};  // PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE
#  elif defined(__APPLE__)
  const auto has = [](const char* name) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
  };
  return {has("hw.optional.arm.FEAT_DotProd"), has("hw.optional.arm.FEAT_I8MM")};
#  elif defined(__linux__)
  // CRC32, ATOMICS, ASIMDRDM, ASIMDDP of <asm/hwcap.h>
  constexpr unsigned long kDotprod = 1ul << 7 | 1ul << 8 | 1ul << 12 | 1ul << 20;
  constexpr unsigned long kI8mm = 1ul << 13;  // I8MM, of the second word
  return {(getauxval(AT_HWCAP) & kDotprod) == kDotprod, (getauxval(AT_HWCAP2) & kI8mm) != 0};
#  else
  return {false, false};
#  endif
}
#endif

#if defined(__x86_64__) && defined(__linux__)
// Of <asm/prctl.h>, whose older versions have no names for them.
inline constexpr long kGetPermitted = 0x1022, kRequestPermission = 0x1023, kTileData = 18;

bool tiles_permitted() noexcept {
  uint64_t permitted = 0;
  return syscall(SYS_arch_prctl, kGetPermitted, &permitted) == 0 &&
         (permitted >> kTileData & 1) != 0;
}
void request_tiles() noexcept { syscall(SYS_arch_prctl, kRequestPermission, kTileData); }
#else
bool tiles_permitted() noexcept { return false; }
void request_tiles() noexcept {}
#endif

#if !INLAY_HAS_THREADS

void Mutex::lock() noexcept {}
void Mutex::unlock() noexcept {}
void CondVar::wait(Mutex&) noexcept {}
void CondVar::notify_one() noexcept {}
void CondVar::notify_all() noexcept {}
void Thread::join() noexcept {}

#elif defined(_WIN32)

static_assert(sizeof(SRWLOCK) == sizeof(void*) && sizeof(CONDITION_VARIABLE) == sizeof(void*));

void Mutex::lock() noexcept { AcquireSRWLockExclusive(reinterpret_cast<SRWLOCK*>(&mutex_)); }
void Mutex::unlock() noexcept { ReleaseSRWLockExclusive(reinterpret_cast<SRWLOCK*>(&mutex_)); }
void CondVar::wait(Mutex& mutex) noexcept {
  SleepConditionVariableSRW(reinterpret_cast<CONDITION_VARIABLE*>(&condition_),
                            reinterpret_cast<SRWLOCK*>(&mutex.mutex_), INFINITE, 0);
}
void CondVar::notify_one() noexcept {
  WakeConditionVariable(reinterpret_cast<CONDITION_VARIABLE*>(&condition_));
}
void CondVar::notify_all() noexcept {
  WakeAllConditionVariable(reinterpret_cast<CONDITION_VARIABLE*>(&condition_));
}

bool Thread::begin(Entry entry, void* context) noexcept {
  // Not CreateThread: the C library's per-thread data would leak in a statically linked runtime.
  thread_ = _beginthreadex(nullptr, 0, entry, context, 0, nullptr);
  started_ = thread_ != 0;
  return started_;
}
void Thread::join() noexcept {
  if (!started_) return;
  WaitForSingleObject(reinterpret_cast<HANDLE>(thread_), INFINITE);
  CloseHandle(reinterpret_cast<HANDLE>(thread_));
  started_ = false;
}

#else

void Mutex::lock() noexcept { pthread_mutex_lock(&mutex_); }
void Mutex::unlock() noexcept { pthread_mutex_unlock(&mutex_); }
void CondVar::wait(Mutex& mutex) noexcept { pthread_cond_wait(&condition_, &mutex.mutex_); }
void CondVar::notify_one() noexcept { pthread_cond_signal(&condition_); }
void CondVar::notify_all() noexcept { pthread_cond_broadcast(&condition_); }

bool Thread::begin(Entry entry, void* context) noexcept {
  // A new thread inherits the mask of the one that starts it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  started_ = pthread_create(&thread_, nullptr, entry, context) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started_;
}
void Thread::join() noexcept {
  if (!started_) return;
  pthread_join(thread_, nullptr);
  started_ = false;
}

#endif

#if INLAY_HAS_FILES

inline Error file_error(const char* path, std::string_view reason) noexcept {
  return Error(ErrorCode::io, "cannot open ") << path << ": " << reason;
}

// How much of a file of `file_size` bytes is asked for; a reason if that is not there.
inline std::string_view part_of_file(uint64_t file_size, uint64_t offset, uint64_t* size) noexcept {
  if (file_size == 0) return "it is empty";
  if (offset >= file_size || *size > file_size - offset) return "it ends before the part's end";
  if (*size == 0) *size = file_size - offset;
  return *size > SIZE_MAX / 2 ? "it is larger than the address space" : "";
}

#  ifdef _WIN32

inline std::string_view file_error_reason(DWORD error) noexcept {
  switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_DRIVE:
    case ERROR_BAD_NETPATH:
      return "no such file";
    case ERROR_ACCESS_DENIED:
      return "permission denied";
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
      return "another program has it open for writing";
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
      return "not a valid file name";
    case ERROR_FILENAME_EXCED_RANGE:
      return "the path is too long";
    case ERROR_TOO_MANY_OPEN_FILES:
      return "too many open files";
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT:
      return "not enough address space to map it";
    default:
      return "the system could not open or map it";
  }
}

// Views begin at multiples of this.
inline uint64_t mapping_granularity() noexcept {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwAllocationGranularity;
}

Result<FileMapping> FileMapping::open(int, uint64_t, uint64_t) noexcept {
  return Error(ErrorCode::unsupported, "a file's descriptor: Windows has none");
}

Result<FileMapping> FileMapping::open(const char* path, uint64_t offset, uint64_t size) noexcept {
  wchar_t wide[4096];
  if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, 4096) == 0) {
    return file_error(path, GetLastError() == ERROR_INSUFFICIENT_BUFFER
                                ? "the path is too long"
                                : "the path is not valid UTF-8");
  }
  const DWORD attributes = GetFileAttributesW(wide);
  if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) {
    return file_error(path, "it is a directory");
  }
  const HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) return file_error(path, file_error_reason(GetLastError()));
  LARGE_INTEGER file_size;
  FILETIME modified;
  if (!GetFileSizeEx(file, &file_size) || !GetFileTime(file, nullptr, nullptr, &modified)) {
    const DWORD error = GetLastError();
    CloseHandle(file);
    return file_error(path, file_error_reason(error));
  }
  const std::string_view reason =
      part_of_file(static_cast<uint64_t>(file_size.QuadPart), offset, &size);
  if (!reason.empty()) {
    CloseHandle(file);
    return file_error(path, reason);
  }
  const uint64_t skipped = offset % mapping_granularity(), from = offset - skipped;
  const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  const void* data =
      mapping == nullptr
          ? nullptr
          : MapViewOfFile(mapping, FILE_MAP_READ, static_cast<DWORD>(from >> 32),
                          static_cast<DWORD>(from), static_cast<size_t>(size + skipped));
  const DWORD error = GetLastError();
  if (mapping != nullptr) CloseHandle(mapping);  // the view keeps the mapping and the file alive
  CloseHandle(file);
  if (data == nullptr) return file_error(path, file_error_reason(error));
  return FileMapping(static_cast<const uint8_t*>(data) + skipped, static_cast<size_t>(size),
                     uint64_t{modified.dwHighDateTime} << 32 | modified.dwLowDateTime);
}

void FileMapping::unmap() noexcept {
  if (data_ == nullptr) return;
  UnmapViewOfFile(data_ - reinterpret_cast<uintptr_t>(data_) % mapping_granularity());
}

void drop_pages(const uint8_t*, size_t) noexcept {}  // the system trims what is not read by itself

Status FileReplacement::fail(const char* what) noexcept {
  Error error(ErrorCode::io, "cannot ");
  return error << what << ": "
               << (GetLastError() == ERROR_DISK_FULL ? "the disk is full"
                                                     : file_error_reason(GetLastError()));
}

Status FileReplacement::open(const char* path) noexcept {
  // 17 characters more for the temporary name: a dot and 64 bits in hexadecimal.
  const int size = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, path_,
                                       static_cast<int>(kMaxPath) - 17);
  if (size == 0) return Error(ErrorCode::io, "not a path, or too long");
  LARGE_INTEGER ticks;
  QueryPerformanceCounter(&ticks);
  uint64_t name = static_cast<uint64_t>(ticks.QuadPart) << 20 ^ GetCurrentProcessId() ^
                  reinterpret_cast<uintptr_t>(this);
  for (int i = 0; i < size - 1; ++i) temporary_[i] = path_[i];
  temporary_[size - 1] = L'.';
  for (int i = 0; i < 16; ++i, name >>= 4) temporary_[size + i] = L"0123456789abcdef"[name & 15];
  temporary_[size + 16] = L'\0';
  const HANDLE file = CreateFileW(temporary_, GENERIC_WRITE, 0, nullptr, CREATE_NEW,
                                  FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) return fail("create a file there");
  file_ = file;
  return {};
}

Status FileReplacement::write(const void* data, size_t bytes) noexcept {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    DWORD written = 0;
    const DWORD chunk = bytes < (1u << 24) ? static_cast<DWORD>(bytes) : 1u << 24;
    if (!WriteFile(file_, from, chunk, &written, nullptr)) return fail("write");
    from += written;
    bytes -= written;
  }
  return {};
}

Status FileReplacement::commit() noexcept {
  if (!FlushFileBuffers(file_)) return fail("write");
  CloseHandle(file_);
  file_ = nullptr;
  if (MoveFileExW(temporary_, path_, MOVEFILE_REPLACE_EXISTING)) return {};
  const Status status = fail("rename");
  DeleteFileW(temporary_);
  return status;
}

FileReplacement::~FileReplacement() {
  if (file_ == nullptr) return;
  CloseHandle(file_);
  DeleteFileW(temporary_);
}

#  else

inline std::string_view file_error_reason(int error) noexcept {
  switch (error) {
    case ENOENT:
      return "no such file";
    case EACCES:
    case EPERM:
      return "permission denied";
    case ENOTDIR:
      return "a part of the path is not a directory";
    case ENAMETOOLONG:
      return "the path is too long";
    case ELOOP:
      return "too many symbolic links";
    case EMFILE:
    case ENFILE:
      return "too many open files";
    case EOVERFLOW:
      return "it is larger than the address space";
    case ENOMEM:
      return "not enough address space to map it";
    case ENODEV:
      return "its file system cannot map files";
    case EIO:
      return "the disk reports an error";
    default:
      return "the system could not open or map it";
  }
}

inline uint64_t page_bytes() noexcept { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

Result<FileMapping> FileMapping::open(const char* path, uint64_t offset, uint64_t size) noexcept {
  int file;
  // Not blocking: opening a pipe that nobody writes to must fail below, not hang here.
  do file = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  while (file < 0 && errno == EINTR);
  if (file < 0) return file_error(path, file_error_reason(errno));
  Result<FileMapping> mapping = map(file, path, offset, size);
  ::close(file);  // the mapping keeps the file alive
  return mapping;
}

Result<FileMapping> FileMapping::open(int descriptor, uint64_t offset, uint64_t size) noexcept {
  return map(descriptor, "the descriptor", offset, size);
}

Result<FileMapping> FileMapping::map(int file, const char* path, uint64_t offset,
                                     uint64_t size) noexcept {
  struct stat status;
  std::string_view reason;
  if (fstat(file, &status) != 0) {
    reason = file_error_reason(errno);
  } else if (S_ISDIR(status.st_mode)) {
    reason = "it is a directory";
  } else if (!S_ISREG(status.st_mode)) {
    reason = "it is not a regular file, which mapping needs";
  } else {
    reason = part_of_file(static_cast<uint64_t>(status.st_size), offset, &size);
  }
  if (!reason.empty()) return file_error(path, reason);
  const uint64_t skipped = offset % page_bytes();
  void* data = mmap(nullptr, static_cast<size_t>(size + skipped), PROT_READ, MAP_PRIVATE, file,
                    static_cast<off_t>(offset - skipped));
  if (data == MAP_FAILED) return file_error(path, file_error_reason(errno));
    // Nanoseconds since 1970; some systems have them under another name, and whole seconds do too.
#    if defined(__linux__)
  const uint64_t fraction = static_cast<uint64_t>(status.st_mtim.tv_nsec);
#    else
  const uint64_t fraction = 0;
#    endif
  return FileMapping(static_cast<const uint8_t*>(data) + skipped, static_cast<size_t>(size),
                     static_cast<uint64_t>(status.st_mtime) * 1000000000 + fraction);
}

void FileMapping::unmap() noexcept {
  if (data_ == nullptr) return;
  const size_t skipped = reinterpret_cast<uintptr_t>(data_) % static_cast<size_t>(page_bytes());
  munmap(const_cast<uint8_t*>(data_ - skipped), size_ + skipped);
}

void drop_pages(const uint8_t* data, size_t bytes) noexcept {
  const uintptr_t page = static_cast<uintptr_t>(page_bytes());
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

Status FileReplacement::fail(const char* what) noexcept {
  Error error(ErrorCode::io, "cannot ");
  error << what << ": ";
  switch (errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return error << "the disk is full";
    case EROFS:
      return error << "the file system is read-only";
    case EISDIR:
      return error << "it is a directory";
    default:
      return error << file_error_reason(errno);
  }
}

Status FileReplacement::open(const char* path) noexcept {
  // 17 characters more for the temporary name: a dot and 64 bits in hexadecimal.
  const size_t size = std::strlen(path);
  if (size + 18 > kMaxPath) return Error(ErrorCode::io, "the path is too long");
  // Renaming would replace a device or a pipe, too.
  struct stat status;
  if (stat(path, &status) == 0) {
    if (S_ISDIR(status.st_mode)) return Error(ErrorCode::io, "it is a directory");
    if (!S_ISREG(status.st_mode)) return Error(ErrorCode::io, "it is not a regular file");
    if (access(path, W_OK) != 0) return fail("write");
  }
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  uint64_t name = static_cast<uint64_t>(t.tv_nsec) << 34 ^ static_cast<uint64_t>(getpid()) ^
                  reinterpret_cast<uintptr_t>(this) << 12;
  std::memcpy(path_, path, size + 1);
  std::memcpy(temporary_, path, size);
  temporary_[size] = '.';
  for (size_t i = 1; i <= 16; ++i, name >>= 4) {
    temporary_[size + i] = "0123456789abcdef"[name & 15];
  }
  temporary_[size + 17] = '\0';
  do file_ = ::open(temporary_, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  while (file_ < 0 && errno == EINTR);
  return file_ < 0 ? fail("create a file there") : Status();
}

Status FileReplacement::write(const void* data, size_t bytes) noexcept {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(file_, from, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail("write");
    from += written;
    bytes -= static_cast<size_t>(written);
  }
  return {};
}

Status FileReplacement::commit() noexcept {
  if (fsync(file_) != 0) return fail("write");
  if (::rename(temporary_, path_) != 0) return fail("rename");
  ::close(file_);
  file_ = -1;
  return {};
}

FileReplacement::~FileReplacement() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(temporary_);
}

#  endif  // _WIN32

#endif  // INLAY_HAS_FILES

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CORE_SYSTEM_INL_HPP_
