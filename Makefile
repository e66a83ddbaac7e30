# cosrel: run `make help` for what there is to make.
CC      ?= gcc
BUILD   ?= build
MARCH   ?= native
CFLAGS  ?= -O3 -g
WARN    := -Wall -Wextra -Wpedantic -Werror
ALL_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L $(WARN) -march=$(MARCH) -fopenmp -fPIC -I. -I$(BUILD) $(CFLAGS) -MMD -MP
LIBS     = -ljansson -lglpk -lgsl -lopenblas -lm

LIB_SRC  := $(wildcard sched/*.c sched/policies/*.c backends/*.c backends/sim/*.c backends/zoo/*.c traces/*.c agent/*.c)
CMD_SRC  := $(wildcard experiments/*.c)
TEST_SRC := $(wildcard tests/test_*.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)

all: $(BUILD)/libcosrel.a

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

$(BUILD)/libcosrel.a: $(LIB_OBJ)
	ar rcs $@ $^

$(BUILD)/tests/%: tests/%.c $(BUILD)/libcosrel.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $< $(BUILD)/libcosrel.a -lcmocka $(LIBS) -o $@

test: $(TEST_SRC:%.c=$(BUILD)/%)
	@set -e; for t in $^; do echo "== $$t"; $$t; done

-include $(LIB_OBJ:.o=.d)
.PHONY: all test
