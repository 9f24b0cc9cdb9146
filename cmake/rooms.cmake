# Rooms: a folder of daemon/ and include/culld/ each, a static library each. What a room's files include must be declared
# as its DEPENDS, so that the link lines are the arrows of docs/architecture.md; a build in which they are not fails
# (cmake/arrows.cmake). LINKS: libraries from outside. APART: sources that are no part of the room's one unity source.

# culld_room(core/plan DEPENDS core/base core/job LINKS … APART …)
function(culld_room room)
    cmake_parse_arguments(arg "" "" "DEPENDS;LINKS;APART" ${ARGN})
    string(REPLACE "/" "_" target culld_${room})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/daemon/${room}/*.cpp)
    file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/daemon/${room}/*.hpp
                                      ${PROJECT_SOURCE_DIR}/include/culld/${room}/*.hpp)
    list(APPEND files ${sources})
    set(depends)
    foreach(below ${arg_DEPENDS})
        string(REPLACE "/" "_" library culld_${below})
        if(NOT TARGET ${library})
            message(FATAL_ERROR "${room} depends on ${below}, which no room declared before it is: arrows point down")
        endif()
        list(APPEND depends ${library})
    endforeach()
    if(sources)
        add_library(${target} STATIC ${sources})
        target_link_libraries(${target} PUBLIC culld_flags ${depends} ${arg_LINKS})
        set_target_properties(${target} PROPERTIES UNITY_BUILD_BATCH_SIZE 0)
        list(TRANSFORM arg_APART PREPEND ${PROJECT_SOURCE_DIR}/daemon/${room}/)
        set_source_files_properties(${arg_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    else()
        add_library(${target} INTERFACE)
        target_link_libraries(${target} INTERFACE culld_flags ${depends} ${arg_LINKS})
    endif()
    set(checked ${PROJECT_BINARY_DIR}/arrows/${target})
    add_custom_command(OUTPUT ${checked}
        COMMAND ${CMAKE_COMMAND} -DROOM=${room} "-DDEPENDS=${arg_DEPENDS}" "-DFILES=${files}" -DDONE=${checked}
                -P ${PROJECT_SOURCE_DIR}/cmake/arrows.cmake
        DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/arrows.cmake VERBATIM)
    add_custom_target(${target}_arrows DEPENDS ${checked})
    add_dependencies(${target} ${target}_arrows)
    set_property(GLOBAL APPEND PROPERTY CULLD_ROOMS ${room})
endfunction()

# culld_floor(core): a target that stands for all rooms of that floor.
function(culld_floor floor)
    add_library(culld_${floor} INTERFACE)
    get_property(rooms GLOBAL PROPERTY CULLD_ROOMS)
    list(FILTER rooms INCLUDE REGEX "^${floor}/")
    foreach(room ${rooms})
        string(REPLACE "/" "_" target culld_${room})
        target_link_libraries(culld_${floor} INTERFACE ${target})
    endforeach()
endfunction()

# culld_tests_of(culld_unit_tests unit): the tests of tests/KIND/ROOM/, a unity source for each room. What one file names
# there, another may call a local of its own.
function(culld_tests_of target kind)
    file(GLOB rooms CONFIGURE_DEPENDS LIST_DIRECTORIES true RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/${kind}
         ${CMAKE_CURRENT_SOURCE_DIR}/${kind}/*)
    foreach(room ${rooms})
        file(GLOB sources CONFIGURE_DEPENDS ${kind}/${room}/*_test.cpp)
        if(sources)
            set_source_files_properties(${sources} PROPERTIES UNITY_GROUP ${room})
            target_sources(${target} PRIVATE ${sources})
        endif()
    endforeach()
    set_target_properties(${target} PROPERTIES UNITY_BUILD_MODE GROUP CULLD_MAY_SHADOW ON)
endfunction()
