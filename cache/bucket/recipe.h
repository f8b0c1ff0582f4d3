/* How to get at a key: what a search through options, environment and files came to. */
#ifndef TOOTFS_RECIPE_H
#define TOOTFS_RECIPE_H

#include <stdatomic.h>
#include "credentials.h"

enum recipe_kind {
	RECIPE_KEY,	     /* it is written down: key */
	RECIPE_WEB_IDENTITY, /* STS gives one for role_arn and the token in token_file */
	RECIPE_PROCESS,	     /* command prints one */
	RECIPE_CONTAINER,    /* url, of ECS or EKS, gives one */
	RECIPE_INSTANCE,     /* url, of an EC2 instance's metadata service, gives one */
};

struct recipe {
	enum recipe_kind kind;
	char from[512]; /* in words, without any secret */
	struct credentials key;
	char role_arn[2049], session_name[65], token_file[1024], region[64];
	char command[4096]; /* may hold secrets */
	char url[1024];
};

/* Follows the recipe, which may take its time (a minute for a program, some ten seconds for a
 * service); ends soon after *stop is set. 0, or with the fault set: -EHOSTDOWN (again: true) a
 * service does not answer or cannot now, -EACCES it refuses or its answer is of no use, -ECANCELED,
 * -ENOMEM. */
int recipe_follow(const struct recipe *recipe, const atomic_bool *stop,
		  struct credentials *out) MUST_CHECK;
void recipe_wipe(struct recipe *recipe);

/* The kinds, each in the file of its name. */
int web_identity_get(const struct recipe *recipe, const atomic_bool *stop,
		     struct credentials *out) MUST_CHECK;
int process_get(const struct recipe *recipe, const atomic_bool *stop,
		struct credentials *out) MUST_CHECK;
int container_get(const struct recipe *recipe, const atomic_bool *stop,
		  struct credentials *out) MUST_CHECK;
int instance_get(const struct recipe *recipe, const atomic_bool *stop,
		 struct credentials *out) MUST_CHECK;

/* Where they are asked; pure but for the environment, which holds the settings. */
/* false: plain HTTP to a host that is neither this one nor ECS's or EKS's link-local address. */
bool container_url_allowed(const char *url);
/* "" = out of space. */
void web_identity_url(const char *region, char *out, size_t space);

#endif
