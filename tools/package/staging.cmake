# What a Debian package wants otherwise than `cmake --install` does it: compressed manuals, licence and changelog in their place, and
# its configuration in /etc.
set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY})
set(from ${CMAKE_CURRENT_LIST_DIR})
file(GLOB manuals ${root}/usr/share/man/man8/*.8)
file(COPY ${from}/copyright ${from}/changelog DESTINATION ${root}/usr/share/doc/tootfs)
file(COPY ${from}/rules DESTINATION ${root}/etc/tootfs)
execute_process(COMMAND gzip -9nf ${manuals} ${root}/usr/share/doc/tootfs/changelog COMMAND_ERROR_IS_FATAL ANY)
file(CREATE_LINK tootfs.8.gz ${root}/usr/share/man/man8/mount.tootfs.8.gz SYMBOLIC)
