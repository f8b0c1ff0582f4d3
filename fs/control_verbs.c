/* What can be asked for by POST: a path and its work. */
#include "control_verbs.h"
#include <stdlib.h>
#include "cache/base/clock.h"
#include "control_internal.h"

const struct control_verb control_verbs[] = {
    {"/sync", control_sync},
    {"/warm", control_warm},
    {"/evict", control_evict},
    {"/pin", control_pin},
    {"/unpin", control_unpin},
    {"/refresh", control_refresh},
    {"/abort-uploads", control_abort_uploads},
    {"/check", control_check},
    {NULL, NULL},
};

const char **control_keys(const json_t *options, size_t *count)
{
	const json_t *wanted = json_object_get(options, "keys");
	const char **keys;

	*count = json_array_size(wanted) ? json_array_size(wanted) : 1;
	keys = calloc(*count, sizeof(*keys));
	if (!keys)
		return NULL;
	keys[0] = "";
	for (size_t i = 0; i < json_array_size(wanted); i++)
		keys[i] = json_string_value(json_array_get(wanted, i));
	return keys;
}

bool control_due(int64_t *told_ms)
{
	if (*told_ms && clock_ms() - *told_ms < 1000)
		return false;
	*told_ms = clock_ms();
	return true;
}
