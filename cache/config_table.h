/* The rows behind cache/config.h; for config.c and config_value.c only. */
#ifndef TOOTFS_CONFIG_TABLE_H
#define TOOTFS_CONFIG_TABLE_H

#include "config.h"

/* What the member is, in struct cache_config. */
enum config_store {
	STORE_TEXT, /* const char *, owned */
	STORE_BOOL,
	STORE_INT, /* int or an enum */
	STORE_U32,
	STORE_U64,
	STORE_MS,      /* int64_t, milliseconds */
	STORE_SECONDS, /* unsigned */
};

struct config_row {
	struct config_option option;
	enum config_store store;
	size_t offset;
	/* Numbers: the limits, in the unit of the member. Choices: the number of the first one. */
	int64_t min, max;
	bool shown_only; /* the default belongs to the bucket, which may find another in an env file */
};

/* Parses value for the row and stores it. -EINVAL: why has the words. value is not NULL. */
int config_value_set(struct cache_config *c, const struct config_row *row, const char *value,
		     struct buf *why) MUST_CHECK;
/* Replaces an owned text; NULL or "" clears it. */
int config_text_set(const char **member, const char *value) MUST_CHECK;

#endif
