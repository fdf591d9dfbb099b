"""Where heavy work runs: beside the control loop, in a process that may die without taking it along."""
