# Puts the header, the libraries, the pkg-config file and the CMake package where C users look for them.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/buddymalloc)

install(FILES csrc/include/buddymalloc.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS buddymalloc_shared buddymalloc_static EXPORT buddymalloc
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

if(TARGET buddymalloc_hardened)
  install(TARGETS buddymalloc_hardened LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

# `cmake --install --prefix` may choose another folder than the one known here: the file finds it from where it lies itself.
file(RELATIVE_PATH prefix_from_pc "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
configure_file(cmake/buddymalloc.pc.in buddymalloc.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/buddymalloc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(EXPORT buddymalloc FILE buddymallocTargets.cmake NAMESPACE buddymalloc:: DESTINATION ${package_dir})
configure_package_config_file(cmake/buddymallocConfig.cmake.in buddymallocConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(buddymallocConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/buddymallocConfig.cmake
              ${PROJECT_BINARY_DIR}/buddymallocConfigVersion.cmake
  DESTINATION ${package_dir})
