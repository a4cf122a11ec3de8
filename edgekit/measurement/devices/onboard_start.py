"""Runs on a device: starts the agent that lies in the folder of edgekit there. sys.argv[1:] is the folder, the request,
whose model is a name in it, and the folders of wheels: what is in those is found before what is installed."""

import os
import runpy
import sys


def main() -> None:
    folder, request, *packages = sys.argv[1:]
    os.chdir(folder)  # the keeper ends whatever works in here
    sys.path[:0] = packages
    agent = os.path.join(folder, "agent.py")
    sys.argv[:] = [agent, request]
    runpy.run_path(agent, run_name="__main__")


if __name__ == "__main__":
    main()
