/* The syncs of a test with crashes: they do nothing, as the page cache keeps all, and wait while a crash is copied, so that
 * no checkpoint gets further. To be included by one .c file of a program. */
#ifndef TOOTFS_SEND_RIG_DISK_H
#define TOOTFS_SEND_RIG_DISK_H

#include "send_rig.h"

static int pretend_sync(void)
{
	pthread_mutex_lock(&send_rig_frozen);
	pthread_mutex_unlock(&send_rig_frozen);
	return 0;
}

int fsync(int fd)
{
	(void)fd;
	return pretend_sync();
}

int fdatasync(int fd)
{
	(void)fd;
	return pretend_sync();
}

int syncfs(int fd)
{
	(void)fd;
	return pretend_sync();
}

#endif
