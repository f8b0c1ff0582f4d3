# The Debian package: cmake -B build && cmake --build build && (cd build && cpack -G DEB)
set(CPACK_PACKAGE_NAME tootfs)
set(CPACK_PACKAGE_VENDOR "the tootfs authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "S3 bucket as the media folder of a Mastodon server")
set(CPACK_PACKAGE_DESCRIPTION "tootfs is a filesystem (FUSE) that is mounted over Mastodon's media path.\n\
What is written there goes to an S3 bucket under the path that Mastodon's\n\
own S3 storage would use; what is read comes from a local cache, or else\n\
from the bucket. Mastodon itself is not changed.")
set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON) # mount.tootfs has to be where mount(8) looks, whatever the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/tools/package/staging.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "the tootfs authors <maintainers@example.org>")
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "fuse3, mount")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, media-types")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/tools/package/conffiles
	${PROJECT_SOURCE_DIR}/tools/package/postinst ${PROJECT_SOURCE_DIR}/tools/package/prerm
	${PROJECT_SOURCE_DIR}/tools/package/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
