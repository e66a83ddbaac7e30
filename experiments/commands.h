/* Every command of the program: returns the exit status of `cosrel NAME ...`; argv[0] is NAME. Each lives in a file
 * cmd_<name>.c in the folder that it serves. */
#ifndef COSREL_EXPERIMENTS_COMMANDS_H
#define COSREL_EXPERIMENTS_COMMANDS_H

int cosrel_cmd_bound(int argc, char **argv);
int cosrel_cmd_compare(int argc, char **argv);
int cosrel_cmd_devices(int argc, char **argv);
int cosrel_cmd_inspect(int argc, char **argv);
int cosrel_cmd_profile(int argc, char **argv);
int cosrel_cmd_replay(int argc, char **argv);
int cosrel_cmd_run(int argc, char **argv);
int cosrel_cmd_train(int argc, char **argv);
int cosrel_cmd_zoo(int argc, char **argv);

#endif
