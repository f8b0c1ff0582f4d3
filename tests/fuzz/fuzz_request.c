/* What a container engine, or whoever reaches its socket, sends to the volume plugin: a name that is let through can be a
 * file's, and options that are let through make a definition that can be stored and read back. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "tools/docker/definition.h"
#include "tools/docker/request.h"
#include "tools/docker/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void define(const struct request *r)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct definition d, again;

	if (definition_make(&d, r->name, r->options, "/var/cache", &why) == 0) {
		AUTO_FREE char *text = definition_text(&d);

		assert(text && strcmp(d.spec, "") && d.cache[0] == '/' && !strchr(d.options, '\n'));
		assert(definition_read(&again, r->name, text, strlen(text), "/var/cache") == 0);
		assert(!again.damaged && strcmp(again.options, d.options) == 0 && json_equal(again.given, d.given));
		definition_destroy(&again);
	} else {
		assert(why.length);
	}
	definition_destroy(&d);
}

static void read_stored(const char *bytes, size_t size)
{
	struct definition d;
	struct users u;

	assert(definition_read(&d, "v", bytes, size, NULL) == 0);
	assert((d.damaged == NULL) == (d.options != NULL));
	definition_destroy(&d);
	assert(users_read(&u, bytes, size, "boot") == 0);
	assert((u.total == 0) == (json_object_size(u.counts) == 0));
	users_destroy(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int call = REQUEST_ACTIVATE; call <= REQUEST_UNMOUNT; call++) {
		AUTO_BUF struct buf why = BUF_EMPTY;
		struct request r;
		int error = request_parse(&r, (enum request_call)call, (const char *)data, size, &why);

		assert(error == 0 || (error == -EINVAL && why.length));
		if (!error && r.name)
			assert(!strchr(r.name, '/') && r.name[0] != '.' && strlen(r.name) <= REQUEST_NAME_MAX);
		if (!error && call == REQUEST_CREATE)
			define(&r);
		request_destroy(&r);
	}
	read_stored((const char *)data, size);
	return 0;
}
