# Sourced by the scripts that build and run something: installs what they need and is missing, on Debian and Ubuntu with
# apt; elsewhere it says what to install and stops. Highway is not among it: CMake looks for that.

# need PACKAGE TEST…: note Debian's PACKAGE as missing if the command TEST… fails.
missing=()
need() {
  "${@:2}" >/dev/null 2>&1 || missing+=("$1")
}

has_header() { # has_header NAME: the C++ compiler finds <NAME>
  echo "#include <$1>" | "${CXX:-g++}" -x c++ -fsyntax-only -
}

install_missing() {
  ((${#missing[@]})) || return 0
  if ! command -v apt-get >/dev/null; then
    cat >&2 <<TEXT
This needs packages that are not installed (by the names that Debian gives them): ${missing[*]}
Install them and run this again:
  Fedora    dnf install cmake make gcc-c++ python3 doctest-devel
  Arch      pacman -S cmake make gcc python doctest
  openSUSE  zypper install cmake make gcc-c++ python3 doctest-devel
  macOS     xcode-select --install; brew install cmake python doctest
CMake must be 3.21 or newer, GCC 11 or newer, Clang 14 or newer.
TEXT
    exit 1
  fi
  local root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "Run this as root, then run the script again: apt-get install ${missing[*]}" >&2
      exit 1
    fi
    root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  missing=()
}

# Configures and builds: build FOLDER [CMake's arguments…] [-- arguments of the build…]
build() {
  local folder=$1 configure=()
  shift
  while (($#)) && [[ $1 != -- ]]; do
    configure+=("$1")
    shift
  done
  if command -v ccache >/dev/null; then configure+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  cmake -S . -B "$folder" "${configure[@]}"
  cmake --build "$folder" --parallel "$(getconf _NPROCESSORS_ONLN)" "${@:2}"
}
