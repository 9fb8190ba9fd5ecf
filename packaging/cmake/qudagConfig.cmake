# find_package(qudag) defines the target qudag::qudag.  Where the library is, this file's own place says; what it needs besides,
# qudag.pc says.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
get_filename_component(_qudag_lib "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
set(_qudag_include "${_qudag_lib}")
while(NOT EXISTS "${_qudag_include}/include/qudag/qudag.h" AND NOT _qudag_include STREQUAL "/")
  get_filename_component(_qudag_include "${_qudag_include}" DIRECTORY)
endwhile()
if(NOT EXISTS "${_qudag_include}/include/qudag/qudag.h" OR NOT EXISTS "${_qudag_lib}/libqudag.a")
  set(qudag_FOUND FALSE)
  set(qudag_NOT_FOUND_MESSAGE "headers or libqudag.a are missing around ${CMAKE_CURRENT_LIST_DIR}")
  return()
endif()
if(NOT TARGET qudag::qudag)
  add_library(qudag::qudag STATIC IMPORTED)
  set(_qudag_needs Threads::Threads m)
  file(STRINGS "${_qudag_lib}/pkgconfig/qudag.pc" _qudag_requires REGEX "^Requires.private:")
  if(_qudag_requires)
    find_dependency(PkgConfig)
    string(REGEX REPLACE "^Requires.private: *" "" _qudag_requires "${_qudag_requires}")
    string(REGEX REPLACE " *[<>=]+ *[0-9.]+" "" _qudag_requires "${_qudag_requires}")
    string(REGEX REPLACE ", *" ";" _qudag_requires "${_qudag_requires}")
    pkg_check_modules(_qudag_pc REQUIRED ${_qudag_requires})
    list(APPEND _qudag_needs ${_qudag_pc_LDFLAGS})
  endif()
  set_target_properties(qudag::qudag PROPERTIES
    IMPORTED_LOCATION "${_qudag_lib}/libqudag.a"
    IMPORTED_LINK_INTERFACE_LANGUAGES C
    INTERFACE_INCLUDE_DIRECTORIES "${_qudag_include}/include"
    INTERFACE_LINK_LIBRARIES "${_qudag_needs}")
endif()
