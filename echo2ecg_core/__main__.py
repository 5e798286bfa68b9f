from echo2ecg_core.cli import main

main()
