# What Debian compiles its daemons with (dpkg-buildflags, hardening=+all), for whoever builds without debhelper: the
# programs that README installs are the package's. tests/package/hardening.sh looks at the binaries.
function(culld_hardening)
    set(optimised "$<CONFIG:RelWithDebInfo,Release,MinSizeRel>")
    add_compile_options("$<${optimised}:-fstack-protector-strong>" "$<${optimised}:-fstack-clash-protection>"
                        "$<${optimised}:-U_FORTIFY_SOURCE>" "$<${optimised}:-D_FORTIFY_SOURCE=2>")
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        add_compile_options("$<${optimised}:-fcf-protection>")
    endif()
    add_link_options("$<${optimised}:LINKER:-z,relro,-z,now>")
endfunction()
