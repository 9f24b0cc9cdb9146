# Where the files that are no programs go. The unit names /usr/sbin/culld, so a package installs with prefix /usr.
install(FILES config/culld.yaml config/emulator-scenario.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
file(GLOB GUIDES CONFIGURE_DEPENDS docs/*.md)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${GUIDES} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
file(GLOB SCHEMAS CONFIGURE_DEPENDS config/*.schema.json)
install(FILES ${SCHEMAS} DESTINATION ${CMAKE_INSTALL_DATADIR}/culld/schema)
# Rules for Prometheus and dashboards for Grafana.
file(GLOB MONITORING CONFIGURE_DEPENDS config/prometheus/*.yml config/grafana/*.json)
if(MONITORING)
    install(FILES ${MONITORING} DESTINATION ${CMAKE_INSTALL_DATADIR}/culld/monitoring)
endif()
foreach(section 1 5 8)
    file(GLOB PAGES CONFIGURE_DEPENDS docs/man/*.${section})
    install(FILES ${PAGES} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
# What completes cullctl's command line is made by cullctl itself.
install(CODE "
    set(prefix \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}\")
    foreach(place bash:bash-completion/completions/cullctl zsh:zsh/vendor-completions/_cullctl
                  fish:fish/vendor_completions.d/cullctl.fish)
        string(REPLACE : \";\" place \${place})
        list(GET place 0 shell)
        list(GET place 1 file)
        cmake_path(GET file PARENT_PATH folder)
        file(MAKE_DIRECTORY \${prefix}/\${folder})
        execute_process(COMMAND ${CMAKE_CURRENT_BINARY_DIR}/cullctl completion \${shell}
                        OUTPUT_FILE \${prefix}/\${file} COMMAND_ERROR_IS_FATAL ANY)
        message(STATUS \"Installing: \${prefix}/\${file}\")
    endforeach()
")
install(FILES systemd/culld.service DESTINATION lib/systemd/system)
install(FILES systemd/culld.sysusers.conf DESTINATION lib/sysusers.d RENAME culld.conf)
install(FILES systemd/culld.tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME culld.conf)
