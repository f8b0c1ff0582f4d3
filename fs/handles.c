/* A handle is in the session's list from handle_publish to handle_close; both may meet
 * handle_close_all only after the loop is over. */
#include "handles.h"

#include <stdlib.h>
#include "cache/file.h"
#include "cache/tree.h"

struct handle *handle_new(uint64_t ino)
{
	struct handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	list_init(&handle->link);
	lock_init(&handle->reading);
	handle->ino = ino;
	return handle;
}

void handle_publish(struct session *session, struct handle *handle, struct fuse_file_info *fi)
{
	handle->writes = handle->file && file_writable(handle->file);
	fi->fh = (uintptr_t)handle;
	lock_take(&session->lock);
	list_append(&session->locked.handles, &handle->link);
	session->locked.writers_count += handle->writes;
	lock_drop(&session->lock);
}

void handle_close(struct session *session, struct handle **handle)
{
	struct handle *h = *handle;

	*handle = NULL;
	lock_take(&session->lock);
	list_remove(&h->link);
	lock_drop(&session->lock);
	if (h->file)
		file_close(&h->file);
	if (h->listing)
		listing_close(&h->listing);
	if (h->writes) {
		lock_take(&session->lock);
		session->locked.writers_count--;
		lock_drop(&session->lock);
	}
	lock_destroy(&h->reading);
	free(h);
}

void handle_close_all(struct session *session)
{
	for (;;) {
		struct handle *handle = NULL;

		lock_take(&session->lock);
		if (!list_empty(&session->locked.handles))
			handle = container_of(session->locked.handles.next, struct handle, link);
		lock_drop(&session->lock);
		if (!handle)
			return;
		handle_close(session, &handle);
	}
}
