# Where the files that are no programs go. The unit names /usr/sbin/culld, so a package installs with prefix /usr.
install(FILES config/culld.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES config/culld.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/culld/schema)
install(FILES systemd/culld.service DESTINATION lib/systemd/system)
install(FILES systemd/culld.sysusers.conf DESTINATION lib/sysusers.d RENAME culld.conf)
install(FILES systemd/culld.tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME culld.conf)
