/* {"boot": BOOT-ID, "counts": {ID: COUNT}} */
#include "users.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

int users_init(struct users *u)
{
	*u = (struct users){.counts = json_object()};
	return u->counts ? 0 : -ENOMEM;
}

void users_destroy(struct users *u)
{
	json_decref(u->counts);
	*u = (struct users){.counts = NULL};
}

int users_add(struct users *u, const char *id)
{
	json_int_t count = json_integer_value(json_object_get(u->counts, id));

	if (count == 0 && json_object_size(u->counts) >= USERS_MAX)
		return -ENOSPC;
	if (json_object_set_new(u->counts, id, json_integer(count + 1)))
		return -ENOMEM;
	u->total++;
	return 0;
}

void users_drop(struct users *u, const char *id)
{
	json_t *count = json_object_get(u->counts, id);

	if (!count)
		return;
	u->total--;
	if (json_integer_value(count) > 1)
		json_integer_set(count, json_integer_value(count) - 1);
	else
		json_object_del(u->counts, id);
}

static bool is_sound(json_t *counts)
{
	const char *id;
	json_t *count;

	json_object_foreach (counts, id, count)
		if (!json_is_integer(count) || json_integer_value(count) < 1 || json_integer_value(count) > INT32_MAX)
			return false;
	return json_is_object(counts);
}

int users_read(struct users *u, const char *text, size_t length, const char *boot)
{
	json_t *stored = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL), *count;
	json_t *counts = json_object_get(stored, "counts");
	const char *then = json_string_value(json_object_get(stored, "boot")), *id;
	int error = 0;

	if (then && strcmp(then, boot) == 0 && is_sound(counts)) {
		*u = (struct users){.counts = json_incref(counts)};
		json_object_foreach (counts, id, count)
			u->total += (uint64_t)json_integer_value(count);
	} else {
		error = users_init(u);
	}
	json_decref(stored);
	return error;
}

char *users_text(const struct users *u, const char *boot)
{
	json_t *stored = json_pack("{ss sO}", "boot", boot, "counts", u->counts);
	char *text = stored ? json_dumps(stored, JSON_COMPACT) : NULL;

	json_decref(stored);
	return text;
}
