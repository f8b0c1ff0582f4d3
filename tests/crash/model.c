#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct model_name *model_find(struct model *m, const char *path)
{
	for (size_t i = 0; i < m->count; i++)
		if (!strcmp(m->names[i].path, path))
			return &m->names[i];
	return NULL;
}

static struct model_name *add(struct model *m, const char *path)
{
	if (m->count == MODEL_NAMES_MAX)
		return NULL;
	struct model_name *name = &m->names[m->count++];
	memset(name, 0, sizeof(*name));
	snprintf(name->path, sizeof(name->path), "%s", path);
	return name;
}

struct model_name *model_link(struct model *m, struct model_file *file, const char *path)
{
	struct model_name *name = add(m, path);
	if (!name)
		return NULL;
	name->file = file;
	file->names++;
	return name;
}

struct model_name *model_add_file(struct model *m, const char *path, uint32_t mode)
{
	struct model_file *file = calloc(1, sizeof(*file));
	if (!file || m->count == MODEL_NAMES_MAX) {
		free(file);
		return NULL;
	}
	file->mode = mode;
	file->hash = hash_bytes(0, "", 0);
	return model_link(m, file, path);
}

struct model_name *model_add_dir(struct model *m, const char *path, uint32_t mode)
{
	struct model_name *name = add(m, path);
	if (!name)
		return NULL;
	name->is_dir = true;
	name->mode = S_IFDIR | mode;
	return name;
}

void model_set_bytes(struct model_file *file, const void *bytes, size_t length)
{
	char *copy = malloc(length + 1);
	if (!copy)
		broken("no memory");
	memcpy(copy, bytes, length);
	free(file->bytes);
	file->bytes = copy;
	file->length = length;
	file->hash = hash_bytes(0, bytes, length);
}

void model_remove(struct model *m, const char *path)
{
	struct model_name *name = model_find(m, path);
	if (name->file && --name->file->names == 0) {
		free(name->file->bytes);
		free(name->file);
	}
	*name = m->names[--m->count];
}

void model_move(struct model *m, const char *from, const char *to)
{
	size_t length = strlen(from);
	char moved[2 * PATH_BYTES];
	for (size_t i = 0; i < m->count; i++) {
		char *path = m->names[i].path;
		if (strncmp(path, from, length) || (path[length] && path[length] != '/'))
			continue;
		snprintf(moved, sizeof(moved), "%s%s", to, path + length);
		if (strlen(moved) >= PATH_BYTES)
			broken("a path is too long");
		strcpy(path, moved);
	}
}

bool model_may_move(const struct model *m, const char *from, const char *to)
{
	size_t length = strlen(from);
	for (size_t i = 0; i < m->count; i++) {
		const char *path = m->names[i].path;
		if (!strncmp(path, from, length) && strlen(path) - length + strlen(to) >= PATH_BYTES)
			return false;
	}
	return true;
}

bool model_is_empty(const struct model *m, const char *dir)
{
	size_t length = strlen(dir);
	for (size_t i = 0; i < m->count; i++)
		if (!strncmp(m->names[i].path, dir, length) && m->names[i].path[length] == '/')
			return false;
	return true;
}

void model_destroy(struct model *m)
{
	while (m->count)
		model_remove(m, m->names[0].path);
}

/* -- pictures -- */

static int compare_seen(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->path, ((const struct seen *)b)->path);
}

void seen_sort(struct seen *seen, size_t count)
{
	qsort(seen, count, sizeof(*seen), compare_seen);
}

static void look(const struct model_name *name, struct seen *out)
{
	memset(out, 0, sizeof(*out));
	strcpy(out->path, name->path);
	out->mode = name->is_dir ? name->mode : name->file->mode;
	if (name->is_dir)
		return;
	out->length = name->file->length;
	out->hash = name->file->hash;
}

static void number_links(const struct model *m, struct seen *seen)
{
	struct model_file *files[MODEL_NAMES_MAX];
	for (size_t i = 0; i < m->count; i++) {
		const struct seen key = seen[i];
		seen[i].same_as = (uint32_t)i;
		for (size_t j = 0; j < m->count; j++)
			if (!strcmp(m->names[j].path, key.path))
				files[i] = m->names[j].file;
		for (size_t j = 0; files[i] && j < i; j++)
			if (files[j] == files[i]) {
				seen[i].same_as = (uint32_t)j;
				break;
			}
	}
}

void story_add(struct story *story, const struct model *m, const struct step *step)
{
	story->steps = reallocarray(story->steps, story->count + 1, sizeof(*story->steps));
	story->seen = reallocarray(story->seen, story->seen_count + m->count, sizeof(*story->seen));
	if (!story->steps || !story->seen)
		broken("no memory");
	struct step *added = &story->steps[story->count++];
	*added = *step;
	added->seen_at = (uint32_t)story->seen_count;
	added->seen_count = (uint32_t)m->count;
	struct seen *seen = story->seen + story->seen_count;
	for (size_t i = 0; i < m->count; i++)
		look(&m->names[i], &seen[i]);
	seen_sort(seen, m->count);
	number_links(m, seen);
	story->seen_count += m->count;
}

void story_save(const struct story *story, int fd)
{
	write_fully(fd, story, sizeof(*story));
	write_fully(fd, story->steps, story->count * sizeof(*story->steps));
	write_fully(fd, story->seen, story->seen_count * sizeof(*story->seen));
}

void story_load(struct story *story, int fd)
{
	read_fully(fd, story, sizeof(*story));
	story->steps = calloc(story->count, sizeof(*story->steps));
	story->seen = calloc(story->seen_count, sizeof(*story->seen));
	if (!story->steps || !story->seen)
		broken("no memory");
	read_fully(fd, story->steps, story->count * sizeof(*story->steps));
	read_fully(fd, story->seen, story->seen_count * sizeof(*story->seen));
}

void story_destroy(struct story *story)
{
	free(story->steps);
	free(story->seen);
	*story = (struct story){0};
}
