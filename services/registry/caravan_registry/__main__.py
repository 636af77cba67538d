from caravan_registry.app import main

main()
