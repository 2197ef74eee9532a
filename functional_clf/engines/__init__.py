"""Ways to train many replicates of a recipe, which is written for one."""
