# The compiler's settings, in one place: every target links gatepost_flags.

option(GATEPOST_TESTS "Build the unit and loop tests" ON)
option(GATEPOST_WERROR "Treat warnings as errors" OFF)
option(GATEPOST_FAULTS "Let GATEPOST_FAULT_* split reads and shorten writes"
       OFF)
set(GATEPOST_SANITIZE "" CACHE STRING
    "Sanitizers for -fsanitize=, such as address,undefined")
option(GATEPOST_FUZZ "Build the fuzzers (clang, libFuzzer)" OFF)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(gatepost_flags INTERFACE)
target_compile_definitions(gatepost_flags INTERFACE _GNU_SOURCE)
target_compile_options(gatepost_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wswitch-enum
    -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wformat=2
    -Werror=format-security -fstack-protector-strong -fno-strict-aliasing)
target_link_options(gatepost_flags INTERFACE
    -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
if(GATEPOST_WERROR)
    target_compile_options(gatepost_flags INTERFACE -Werror)
endif()
if(GATEPOST_FAULTS)
    target_compile_definitions(gatepost_flags INTERFACE GATEPOST_FAULTS)
endif()

if(GATEPOST_SANITIZE)
    target_compile_options(gatepost_flags INTERFACE
        -fsanitize=${GATEPOST_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_link_options(gatepost_flags INTERFACE
        -fsanitize=${GATEPOST_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(gatepost_flags INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(GATEPOST_FUZZ)
    target_compile_options(gatepost_flags INTERFACE
        -fsanitize=fuzzer-no-link)
endif()

# Asserts state what the code guarantees and stay in every build.
foreach(_build RELEASE RELWITHDEBINFO MINSIZEREL)
    string(REPLACE "-DNDEBUG" ""
           CMAKE_C_FLAGS_${_build} "${CMAKE_C_FLAGS_${_build}}")
endforeach()
string(REPLACE "-O3" "-O2" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
set(CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE} -g1")
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

# A folder of its own whose only entry links to the library's sources, so that
# a library can include "name/header.h" and nothing that lies beside it: the
# compiler keeps the arrows of the map.
function(gatepost_include_root target name)
    set(root "${CMAKE_BINARY_DIR}/include/${name}")
    file(MAKE_DIRECTORY "${root}")
    file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${name}" "${root}/${name}" SYMBOLIC)
    target_include_directories(${target} PUBLIC "${root}")
endfunction()
