/* libfuse's low-level API, at one version for all of fs/. */
#ifndef TOOTFS_LOWLEVEL_H
#define TOOTFS_LOWLEVEL_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#endif
