# Finds the headers of Highway 1.3 or newer, which is all that inlay needs of it: nothing is built or linked.
# Looked at in this order; the first that is new enough wins:
#   1. INLAY_HIGHWAY_DIR, a folder that holds hwy/highway.h (or include/hwy/highway.h, usr/include/hwy/highway.h)
#   2. the headers installed on this machine
#   3. Debian and Ubuntu: the libhwy-dev of the newest release, fetched with apt from the mirror this machine uses already
#      and unpacked below the build folder. apt keeps its state there too, so this needs no root and changes no system.
#   4. the tagged release of the project, by FetchContent
#
# From a project:      include(highway.cmake), then inlay_find_highway(<variable> <folder for what is fetched>)
# From a command line: cmake [-D FOLDER=build/highway] [-D INLAY_HIGHWAY_DIR=…] -P .cmake/highway.cmake
#                      prints the include folder and nothing else on the standard output.
cmake_minimum_required(VERSION 3.21)

set(INLAY_HIGHWAY_MINIMUM 1.3)
set(INLAY_HIGHWAY_RELEASE 1.3.0)
set(INLAY_HIGHWAY_URL
    "https://github.com/google/highway/archive/refs/tags/${INLAY_HIGHWAY_RELEASE}.tar.gz"
    CACHE STRING "Where the release of Highway is fetched from if no other way works")

# Sets `result` to the include folder at or below `folder`, or to "" if there is none or it is too old; `why` to the
# reason then.
function(_inlay_check_highway folder result why)
  set(${result} "" PARENT_SCOPE)
  set(${why} "no hwy/highway.h" PARENT_SCOPE)
  foreach(include "${folder}" "${folder}/include" "${folder}/usr/include")
    if(EXISTS "${include}/hwy/highway.h" AND EXISTS "${include}/hwy/base.h")
      set(version "")
      foreach(part MAJOR MINOR)
        # base.h holds the version since 1.1, highway.h before.
        file(STRINGS "${include}/hwy/base.h" line REGEX "^#define HWY_${part} ")
        if(NOT line)
          file(STRINGS "${include}/hwy/highway.h" line REGEX "^#define HWY_${part} ")
        endif()
        string(REGEX MATCH "[0-9]+" number "${line}")
        list(APPEND version "${number}")
      endforeach()
      list(JOIN version "." version)
      if(version VERSION_GREATER_EQUAL INLAY_HIGHWAY_MINIMUM)
        set(${result} "${include}" PARENT_SCOPE)
        set(${why} "version ${version}" PARENT_SCOPE)
        return()
      endif()
      set(${why} "version ${version} is older than ${INLAY_HIGHWAY_MINIMUM}" PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# Unpacks the newest libhwy-dev that the configured mirror has into `folder`. Returns "" or why it could not.
function(_inlay_apt_highway folder why)
  set(${why} "" PARENT_SCOPE)
  find_program(INLAY_APT_GET apt-get)
  find_program(INLAY_DPKG_DEB dpkg-deb)
  mark_as_advanced(INLAY_APT_GET INLAY_DPKG_DEB)
  if(NOT INLAY_APT_GET OR NOT INLAY_DPKG_DEB)
    set(${why} "not a Debian or Ubuntu system" PARENT_SCOPE)
    return()
  endif()
  if(EXISTS /etc/os-release)
    file(STRINGS /etc/os-release system REGEX "^(ID|ID_LIKE)=")
  endif()
  if("${system}" MATCHES "ubuntu")
    set(suite devel)  # a suite that is always the coming release, like unstable
    set(components "main universe")
    set(keyring /usr/share/keyrings/ubuntu-archive-keyring.gpg)
    set(archive "/ubuntu")
  else()
    set(suite unstable)
    set(components "main")
    set(keyring /usr/share/keyrings/debian-archive-keyring.gpg)
    set(archive "/debian")
  endif()

  # apt itself says which mirrors are configured, whatever the format of its sources. The archive for security updates
  # has no suite of that name.
  execute_process(
    COMMAND "${INLAY_APT_GET}" indextargets --format "$(REPO_URI)" "Created-By: Packages"
    OUTPUT_VARIABLE mirrors ERROR_QUIET RESULT_VARIABLE status OUTPUT_STRIP_TRAILING_WHITESPACE)
  string(REPLACE "\n" ";" mirrors "${mirrors}")
  list(REMOVE_DUPLICATES mirrors)
  list(FILTER mirrors EXCLUDE REGEX "security|-ports.*universe")
  list(FILTER mirrors INCLUDE REGEX "${archive}")
  if(NOT mirrors)
    set(${why} "apt has no mirror of the distribution configured" PARENT_SCOPE)
    return()
  endif()
  list(GET mirrors 0 mirror)
  set(signed "")
  if(EXISTS "${keyring}")
    set(signed "Signed-By: ${keyring}\n")
  endif()

  set(apt "${folder}/apt")
  file(REMOVE_RECURSE "${folder}")
  file(MAKE_DIRECTORY "${apt}/lists/partial" "${apt}/cache/archives/partial" "${apt}/none")
  file(WRITE "${apt}/status" "")
  file(WRITE "${apt}/highway.sources"
       "Types: deb\nURIs: ${mirror}\nSuites: ${suite}\nComponents: ${components}\n${signed}")
  # Given with -c, so that it is read after the machine's own settings: those still say how to reach the mirror.
  file(WRITE "${apt}/apt.conf"
       "Dir::Etc::SourceList \"${apt}/highway.sources\";\n"
       "Dir::Etc::SourceParts \"${apt}/none\";\n"
       "Dir::Etc::Preferences \"${apt}/none/preferences\";\n"
       "Dir::Etc::PreferencesParts \"${apt}/none\";\n"
       "Dir::State \"${apt}\";\n"
       "Dir::State::Lists \"${apt}/lists\";\n"
       "Dir::State::status \"${apt}/status\";\n"
       "Dir::Cache \"${apt}/cache\";\n"
       "Acquire::Languages \"none\";\n"
       "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n"
       "Acquire::Retries \"2\";\n"
       "APT::Sandbox::User \"root\";\n"
       "APT::Get::List-Cleanup \"false\";\n"
       "#clear APT::Update::Pre-Invoke;\n"
       "#clear APT::Update::Post-Invoke;\n"
       "#clear APT::Update::Post-Invoke-Success;\n")
  foreach(step "update" "download;libhwy-dev")
    execute_process(
      COMMAND "${INLAY_APT_GET}" -qq -c "${apt}/apt.conf" ${step}
      WORKING_DIRECTORY "${apt}" OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status TIMEOUT 300)
    if(NOT status EQUAL 0)
      string(REGEX REPLACE "[ \n]+" " " output "${output}")
      list(JOIN step " " step)
      set(${why} "apt-get ${step} failed for suite ${suite}: ${output}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  file(GLOB package "${apt}/libhwy-dev_*.deb")
  execute_process(
    COMMAND "${INLAY_DPKG_DEB}" -x "${package}" "${folder}/unpacked"
    OUTPUT_QUIET ERROR_VARIABLE output RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    set(${why} "dpkg-deb could not unpack libhwy-dev: ${output}" PARENT_SCOPE)
    return()
  endif()
  # Keep what the compiler needs, and the licence: the package also has a static library.
  file(RENAME "${folder}/unpacked/usr/include" "${folder}/include")
  file(GLOB licence "${folder}/unpacked/usr/share/doc/libhwy-dev/copyright")
  if(licence)
    file(RENAME "${licence}" "${folder}/include/hwy/LICENSE")
  endif()
  file(REMOVE_RECURSE "${folder}/unpacked" "${apt}")
endfunction()

function(_inlay_fetch_highway folder why)
  set(${why} "" PARENT_SCOPE)
  # The download is tried alone first: FetchContent ends the configuration when it fails, before anything can be said
  # about the other ways.
  file(DOWNLOAD "${INLAY_HIGHWAY_URL}" "${folder}/highway.tar.gz" STATUS status TIMEOUT 300 INACTIVITY_TIMEOUT 20)
  list(GET status 0 code)
  list(GET status 1 text)
  if(NOT code EQUAL 0)
    file(REMOVE "${folder}/highway.tar.gz")
    set(${why} "${INLAY_HIGHWAY_URL}: ${text}" PARENT_SCOPE)
    return()
  endif()
  include(FetchContent)
  FetchContent_Populate(
    inlay_highway QUIET
    URL "${folder}/highway.tar.gz"
    SUBBUILD_DIR "${folder}/fetch"
    SOURCE_DIR "${folder}/include"
    BINARY_DIR "${folder}/fetch-build")
  file(REMOVE_RECURSE "${folder}/highway.tar.gz" "${folder}/fetch" "${folder}/fetch-build")
endfunction()

function(inlay_find_highway result folder)
  get_filename_component(folder "${folder}" ABSOLUTE)
  set(tried "")
  if(INLAY_HIGHWAY_DIR)
    get_filename_component(given "${INLAY_HIGHWAY_DIR}" ABSOLUTE)
    _inlay_check_highway("${given}" include why)
    if(NOT include)
      message(FATAL_ERROR "inlay: INLAY_HIGHWAY_DIR is ${INLAY_HIGHWAY_DIR}: ${why}. Give the folder that holds "
                          "hwy/highway.h of Highway ${INLAY_HIGHWAY_MINIMUM} or newer, or leave the option out.")
    endif()
    set(${result} "${include}" PARENT_SCOPE)
    return()
  endif()

  # In script mode there is no toolchain to ask where headers lie.
  set(places ${CMAKE_PREFIX_PATH} ${CMAKE_SYSTEM_PREFIX_PATH} $ENV{CMAKE_PREFIX_PATH} /usr /usr/local)
  list(REMOVE_DUPLICATES places)
  foreach(place IN LISTS places)
    _inlay_check_highway("${place}" include why)
    if(include)
      set(${result} "${include}" PARENT_SCOPE)
      return()
    elseif(why MATCHES "older")
      string(APPEND tried "\n  - installed below ${place}: ${why}")
    endif()
  endforeach()
  if(NOT tried)
    set(tried "\n  - installed on this machine: none found")
  endif()

  _inlay_check_highway("${folder}" include why)  # fetched by an earlier run
  if(include)
    set(${result} "${include}" PARENT_SCOPE)
    return()
  endif()

  foreach(way apt fetch)
    if(way STREQUAL "apt")
      message(NOTICE "inlay: fetching Highway's headers with apt (below ${folder} only)")
      _inlay_apt_highway("${folder}" why)
    else()
      message(NOTICE "inlay: fetching Highway ${INLAY_HIGHWAY_RELEASE}")
      _inlay_fetch_highway("${folder}" why)
    endif()
    if(NOT why)
      _inlay_check_highway("${folder}" include why)
      if(include)
        set(${result} "${include}" PARENT_SCOPE)
        return()
      endif()
    endif()
    string(APPEND tried "\n  - by ${way}: ${why}")
  endforeach()

  message(
    FATAL_ERROR
      "inlay needs the headers of Highway ${INLAY_HIGHWAY_MINIMUM} or newer and found none. Unpack a release of "
      "https://github.com/google/highway anywhere (nothing needs to be built) and configure again with "
      "-DINLAY_HIGHWAY_DIR=<that folder>; or install a package of it that is new enough (libhwy-dev, highway-devel, "
      "brew install highway, vcpkg install highway). What was tried:${tried}")
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  if(NOT FOLDER)
    get_filename_component(FOLDER "${CMAKE_CURRENT_LIST_DIR}/../build/highway" ABSOLUTE)
  endif()
  inlay_find_highway(include "${FOLDER}")
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "${include}")
endif()
