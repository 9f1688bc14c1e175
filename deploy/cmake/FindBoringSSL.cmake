# Finds BoringSSL: Debian's android-libboringssl-dev, or the one installed
# under BORINGSSL_ROOT (its include/ and lib/). Gives the targets
# BoringSSL::SSL and BoringSSL::Crypto, whose users get a run path to the
# library's own directory. OpenSSL in its place stops the configuration.

set(BORINGSSL_ROOT "" CACHE PATH "Prefix of a BoringSSL of your own")

if(BORINGSSL_ROOT)
    set(_hints HINTS "${BORINGSSL_ROOT}" NO_DEFAULT_PATH)
    set(_include_suffixes include)
    set(_library_suffixes lib lib64 "lib/${CMAKE_LIBRARY_ARCHITECTURE}" .)
else()
    set(_hints)
    set(_include_suffixes android)
    set(_library_suffixes android)
endif()

# Looked for anew at every run: a prefix that changed must not be answered
# from the cache.
unset(BoringSSL_INCLUDE_DIR CACHE)
unset(BoringSSL_SSL_LIBRARY CACHE)
unset(BoringSSL_CRYPTO_LIBRARY CACHE)
find_path(BoringSSL_INCLUDE_DIR openssl/ssl.h ${_hints}
          PATH_SUFFIXES ${_include_suffixes})
find_library(BoringSSL_SSL_LIBRARY ssl ${_hints}
             PATH_SUFFIXES ${_library_suffixes})
find_library(BoringSSL_CRYPTO_LIBRARY crypto ${_hints}
             PATH_SUFFIXES ${_library_suffixes})

# Asked first: headers of OpenSSL beside libraries that are not found must not
# end in a message about libraries.
if(BoringSSL_INCLUDE_DIR AND NOT EXISTS
   "${BoringSSL_INCLUDE_DIR}/openssl/is_boringssl.h")
    message(FATAL_ERROR
        "${BoringSSL_INCLUDE_DIR}/openssl holds OpenSSL's headers, not "
        "BoringSSL's. Gatepost is built on BoringSSL only: install "
        "android-libboringssl-dev, or name the prefix of a BoringSSL by "
        "-DBORINGSSL_ROOT=PREFIX.")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BoringSSL
    REQUIRED_VARS BoringSSL_SSL_LIBRARY BoringSSL_CRYPTO_LIBRARY
                  BoringSSL_INCLUDE_DIR
    REASON_FAILURE_MESSAGE
    "install android-libboringssl-dev, or name a prefix by -DBORINGSSL_ROOT=")

if(BoringSSL_FOUND AND NOT TARGET BoringSSL::SSL)
    include(CheckCSourceCompiles)
    foreach(_part SSL CRYPTO)
        if(_part STREQUAL "CRYPTO")
            set(_target BoringSSL::Crypto)
        else()
            set(_target BoringSSL::SSL)
        endif()
        add_library(${_target} UNKNOWN IMPORTED)
        set_target_properties(${_target} PROPERTIES
            IMPORTED_LOCATION "${BoringSSL_${_part}_LIBRARY}"
            INTERFACE_INCLUDE_DIRECTORIES "${BoringSSL_INCLUDE_DIR}")
    endforeach()
    find_package(Threads REQUIRED)
    set(_crypto_needs Threads::Threads)
    if(BoringSSL_SSL_LIBRARY MATCHES "\\.a$")
        # BoringSSL's libssl is C++; a static one brings no runtime along.
        list(APPEND _crypto_needs stdc++)
    else()
        get_filename_component(_library_dir "${BoringSSL_SSL_LIBRARY}"
                               DIRECTORY)
        list(APPEND CMAKE_BUILD_RPATH "${_library_dir}")
        list(APPEND CMAKE_INSTALL_RPATH "${_library_dir}")
    endif()
    set_property(TARGET BoringSSL::Crypto PROPERTY
                 INTERFACE_LINK_LIBRARIES "${_crypto_needs}")
    set_property(TARGET BoringSSL::SSL PROPERTY
                 INTERFACE_LINK_LIBRARIES BoringSSL::Crypto)

    # Headers can be BoringSSL's while the library is not: ask the linker too.
    set(CMAKE_REQUIRED_LIBRARIES BoringSSL::SSL)
    unset(GATEPOST_BORINGSSL_LINKS CACHE)
    check_c_source_compiles("
        #include <openssl/ssl.h>
        int main(void) { return TLS_with_buffers_method() == 0; }
        " GATEPOST_BORINGSSL_LINKS)
    unset(CMAKE_REQUIRED_LIBRARIES)
    if(NOT GATEPOST_BORINGSSL_LINKS)
        message(FATAL_ERROR
            "${BoringSSL_SSL_LIBRARY} is not a BoringSSL that Gatepost can "
            "use (TLS_with_buffers_method is missing; OpenSSL's library "
            "beside BoringSSL's headers?).")
    endif()
endif()
mark_as_advanced(BoringSSL_INCLUDE_DIR BoringSSL_SSL_LIBRARY
                 BoringSSL_CRYPTO_LIBRARY)
