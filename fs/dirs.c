/* Reading directories. Cookies: 0 is the start, 1 after ".", 2 after "..", and above 2 the
 * listing's own.
 *
 * readdirplus is always offered, so that find and ls need no lookup per name. The kernel takes
 * neither "." nor ".." from it as a node. */
#include "ops.h"

#include <errno.h>
#include <stdlib.h>
#include "cache/tree.h"
#include "handles.h"
#include "reply.h"

enum { COOKIE_DOT = 1, COOKIE_DOTDOT = 2 };

struct page {
	fuse_req_t req;
	bool plus;
	char *bytes;
	size_t size, used;
};

static int page_add(struct page *page, const char *name, const struct fuse_entry_param *entry,
		    uint64_t cookie)
{
	char *at = page->bytes + page->used;
	size_t room = page->size - page->used, need;

	if (page->plus)
		need = fuse_add_direntry_plus(page->req, at, room, name, entry, (off_t)cookie);
	else
		need = fuse_add_direntry(page->req, at, room, name, &entry->attr, (off_t)cookie);
	if (need > room)
		return 1;
	page->used += need;
	return 0;
}

static int page_visit(void *arg, const struct listing_entry *listed)
{
	struct page *page = arg;
	struct fuse_entry_param entry = reply_param(session_of(page->req), &listed->stat);

	return page_add(page, listed->name, &entry, listed->cookie);
}

static int page_dot(struct page *page, const char *name, uint64_t ino, uint64_t cookie)
{
	struct fuse_entry_param entry = {.attr = {.st_ino = ino, .st_mode = S_IFDIR}};

	return page_add(page, name, &entry, cookie);
}

static int page_fill(struct page *page, struct handle *handle, uint64_t cookie)
{
	struct cache *cache = session_of(page->req)->cache;
	int error;

	if (cookie < COOKIE_DOT && page_dot(page, ".", handle->ino, COOKIE_DOT))
		return 0;
	if (cookie < COOKIE_DOTDOT &&
	    page_dot(page, "..", tree_parent(cache, handle->ino), COOKIE_DOTDOT))
		return 0;
	lock_take(&handle->reading);
	error =
	    listing_read(handle->listing, cookie > COOKIE_DOTDOT ? cookie : 0, page_visit, page);
	lock_drop(&handle->reading);
	return page->used ? 0 : error; /* an error comes again with the next page */
}

static void read_page(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi,
		      bool plus)
{
	AUTO_FREE char *bytes = malloc(size);
	struct page page = {.req = req, .plus = plus, .bytes = bytes, .size = size};
	int error;

	if (!bytes) {
		reply_error(req, -ENOMEM);
		return;
	}
	if (offset < 0) {
		reply_error(req, -EINVAL);
		return;
	}
	error = page_fill(&page, handle_of(req, fi), (uint64_t)offset);
	if (error) {
		reply_error(req, error);
		return;
	}
	reply_bytes(req, bytes, page.used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *fi)
{
	(void)ino;
	read_page(req, size, offset, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	(void)ino;
	read_page(req, size, offset, fi, true);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct session *session = session_of(req);
	struct handle *handle = handle_new(ino);
	int error;

	if (!handle) {
		reply_error(req, -ENOMEM);
		return;
	}
	error = listing_open(session->cache, ino, &handle->listing);
	if (error) {
		handle_close(session, &handle);
		reply_error(req, error == -ENOENT ? -ESTALE : error);
		return;
	}
	handle_publish(session, handle, fi);
	fi->cache_readdir = session->config->shared_s == 0;
	fi->keep_cache = fi->cache_readdir;
	if (!reply_open(req, fi))
		handle_close(session, &handle);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *handle = handle_of(req, fi);

	(void)ino;
	handle_close(session_of(req), &handle);
	reply_error(req, 0);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino, (void)datasync, (void)fi;
	reply_error(req, cache_sync(session_of(req)->cache));
}
