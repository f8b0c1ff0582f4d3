/* The main of a fuzz target where there is no libFuzzer: runs every file of the corpus folder, and
 * mutations of them made with a fixed seed, so that each build repeats the same inputs. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MUTATIONS_PER_FILE = 500, INPUT_BYTES_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seed = 0x746f6f746673;

static uint64_t draw(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

/* From an exact malloc, so that the address sanitizer sees a read past the end. */
static void run(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	memcpy(copy, bytes, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static size_t mutate(uint8_t *bytes, size_t size)
{
	static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '/', '%', '<', '&', '"', '\n', '.'};

	for (uint64_t n = 1 + draw(4); n; n--) {
		size_t at = size ? draw(size) : 0, piece;
		switch (draw(5)) {
		case 0: /* a bit */
			if (size)
				bytes[at] ^= (uint8_t)(1u << draw(8));
			break;
		case 1: /* a byte that parsers trip over */
			if (size)
				bytes[at] = odd[draw(sizeof(odd))];
			break;
		case 2: /* cut off */
			size = at;
			break;
		case 3: /* a piece out */
			piece = size ? draw(size - at) : 0;
			memmove(bytes + at, bytes + at + piece, size - at - piece);
			size -= piece;
			break;
		default: /* a piece twice */
			piece = size ? draw(size - at) : 0;
			if (size + piece > INPUT_BYTES_MAX)
				break;
			memmove(bytes + at + piece, bytes + at, size - at);
			size += piece;
		}
	}
	return size;
}

static void replay(const char *path)
{
	static uint8_t original[INPUT_BYTES_MAX], bytes[INPUT_BYTES_MAX];
	FILE *file = fopen(path, "rb");

	if (!file) {
		perror(path);
		exit(1);
	}
	size_t size = fread(original, 1, sizeof(original), file);
	fclose(file);

	run(original, size);
	for (int i = 0; i < MUTATIONS_PER_FILE; i++) {
		memcpy(bytes, original, size);
		run(bytes, mutate(bytes, size));
	}
}

int main(int argc, char **argv)
{
	size_t files = 0;
	char path[4096];

	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return 2;
	}
	struct dirent **entries;
	int count = scandir(argv[1], &entries, NULL, alphasort); /* sorted: the same draws every time */
	for (int i = 0; i < count; i++) {
		struct stat st;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
		free(entries[i]);
		if (stat(path, &st) || !S_ISREG(st.st_mode))
			continue;
		replay(path);
		files++;
	}
	if (count >= 0)
		free(entries);
	printf("%s: %zu files, %zu inputs\n", argv[1], files, files * (1 + MUTATIONS_PER_FILE));
	return files ? 0 : 1; /* no corpus tests nothing */
}
