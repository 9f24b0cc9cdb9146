# Warnings are errors, everywhere, in every build type.
function(culld_warnings target)
    target_compile_options(${target} INTERFACE
        -Wall -Wextra -Wpedantic $<$<NOT:$<BOOL:$<TARGET_PROPERTY:CULLD_MAY_SHADOW>>>:-Wshadow>
        -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wextra-semi -Werror
        # A designated initialiser that leaves members at their defaults is what we want to write.
        -Wno-missing-field-initializers)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # False alarms of GCC 12 in optimised builds: coroutine frames that were inlined, std::optional, and
        # concatenated strings (GCC bug 105651). And where several files are compiled as one it takes them for headers,
        # in which a coroutine of an unnamed namespace would be amiss.
        target_compile_options(${target} INTERFACE -Wno-mismatched-new-delete -Wno-maybe-uninitialized
                               -Wno-restrict -Wno-subobject-linkage)
    endif()
    # Asio's headers use fences that GCC's TSan cannot follow; it warns in them, not in us.
    if(CMAKE_CXX_FLAGS MATCHES "fsanitize=thread")
        target_compile_options(${target} INTERFACE -Wno-error=tsan)
    endif()
endfunction()
