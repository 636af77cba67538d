from caravan_gateway.app import main

main()
