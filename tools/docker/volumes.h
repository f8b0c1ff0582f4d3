/* The volumes of this host: their definitions, who has them mounted, and the filesystems behind them.
 *
 *     volumes_open; volumes_start; any of the calls, from any thread; volumes_stop; volumes_close
 *
 * Filesystem daemons outlive it. -errno and why in plain words everywhere: -ENOENT = there is no such volume. */
#ifndef TOOTFS_DOCKER_VOLUMES_H
#define TOOTFS_DOCKER_VOLUMES_H

#include <jansson.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

struct volumes;

/* Strings must outlive the volumes. */
struct volumes_config {
	const char *program;	  /* tootfs */
	const char *state_folder; /* definitions, and the mount points */
	const char *run_folder;	  /* who has what mounted */
	const char *cache_folder; /* of volumes without the option cache; NULL = where tootfs has it */
	unsigned mount_s;	  /* how long a filesystem may take to be ready */
	unsigned wait_s;	  /* how long the last Unmount waits for uploads */
	unsigned warm_s;	  /* how long a filesystem that nobody uses stays mounted */
};

int volumes_open(const struct volumes_config *config, struct volumes **out, struct buf *why) MUST_CHECK;
int volumes_start(struct volumes *v) MUST_CHECK;
void volumes_stop(struct volumes *v); /* no call is under way any more */
void volumes_close(struct volumes **volumes);

/* options NULL = none. The same volume again, with the same options, is no error. */
int volumes_create(struct volumes *v, const char *name, const json_t *options, struct buf *why) MUST_CHECK;
/* Forgets the definition; the bucket, and the cache with what is still to be uploaded, stay. */
int volumes_remove(struct volumes *v, const char *name, struct buf *why) MUST_CHECK;
/* Counts one user more and has the filesystem mounted. mountpoint is appended to. */
int volumes_mount(struct volumes *v, const char *name, const char *id, struct buf *mountpoint,
		  struct buf *why) MUST_CHECK;
/* Counts one less, also where the ID is unknown. After the last, waits for uploads; what is left is logged, and in Status. */
int volumes_unmount(struct volumes *v, const char *name, const char *id, struct buf *why) MUST_CHECK;
/* As the protocol wants a volume: Name, Mountpoint, CreatedAt, Status. Answered from memory, at once. */
int volumes_get(struct volumes *v, const char *name, json_t **out, struct buf *why) MUST_CHECK;
int volumes_list(struct volumes *v, json_t **out) MUST_CHECK;

#endif
