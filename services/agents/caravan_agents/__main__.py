from caravan_agents.app import main

main()
