/**
 * @file What other programs call our options: transformers' `TrainingArguments`, PEFT's `LoraConfig`, TRL, mlx-lm, axolotl,
 * Unsloth. None of these names is taken: whoever types one is told ours. Spellings of our own names (`grad_accum`,
 * `gradAccum`) need no line.
 *
 * To add one: the word, in any spelling, behind our option's name (of what only the command line has, the flag's).
 */

/** Their words by our name; where one of ours is short for another, under that one. */
export const synonyms: Readonly<Record<string, string>> = {
  // The model and the data.
  model: 'model_name_or_path model_name model_id model_path base_model pretrained_model_name_or_path',
  data: 'dataset datasets dataset_name dataset_path dataset_id train_dataset train_data train_file data_path data_dir data_files',
  evalData: 'eval_dataset eval_file validation_data validation_file valid_data val_data test_datasets test_file',
  valSplit: 'val_set_size val_size test_size validation_split validation_size eval_split train_test_split',
  columns: 'column_mapping column_names field_mapping',
  maxLength: 'max_seq_length max_seq_len sequence_len seq_len seq_length context_length cutoff_len block_size model_max_length',
  packing: 'sample_packing use_packing',
  groupByLength: 'length_grouped',
  'no-shuffle': 'shuffle disable_shuffling',
  // The adapter.
  adapter:
    'lora_modules lora adapter_path adapter_name_or_path adapter_file resume_adapter_file lora_path lora_model_dir peft_model peft_model_id',
  r: 'rank lora_r lora_rank lora_dim network_dim',
  loraAlpha: 'alpha lora_alpha lora_scale network_alpha',
  loraDropout: 'dropout lora_dropout network_dropout',
  targetModules: 'lora_target lora_targets lora_target_modules lora_target_linear lora_keys target_linear targets',
  excludeModules: 'lora_exclude_modules',
  layersToTransform: 'lora_layers num_layers peft_layers_to_transform lora_layers_to_transform',
  layersPattern: 'peft_layers_pattern lora_layers_pattern',
  modulesToSave: 'lora_modules_to_save additional_target',
  trainableTokenIndices: 'peft_trainable_token_indices',
  bias: 'lora_bias_type',
  useRslora: 'rslora peft_use_rslora use_rs_lora',
  useDora: 'dora peft_use_dora lora_use_dora',
  initLoraWeights: 'init_weights peft_init_lora_weights initialization initialisation',
  // Learning.
  epochs: 'epoch num_epochs epochs_num num_train_epochs n_epochs max_epochs',
  steps: 'iters iterations max_steps num_steps train_steps max_train_steps',
  batchSize: 'batch bs per_device_train_batch_size per_device_batch_size train_batch_size micro_batch_size mini_batch_size',
  gradAccum:
    'gradient_accumulation gradient_accumulation_steps grad_accumulation_steps grad_accumulation grad_accum_steps accumulation_steps accumulate_grad_batches',
  learningRate: 'lr',
  schedule: 'scheduler lr_scheduler lr_scheduler_type lr_schedule learning_rate_schedule',
  warmup: 'warmup_steps warmup_ratio num_warmup_steps lr_warmup_steps',
  optimizer: 'optim optimiser',
  biasCorrection: 'correct_bias',
  weightDecay: 'wd',
  noDecay: 'no_weight_decay no_decay_params',
  maxGradNorm: 'grad_clip clip_grad clip_grad_norm gradient_clipping gradient_clip_val max_norm',
  beta1: 'adam_b1',
  beta2: 'adam_b2',
  epsilon: 'eps adam_eps',
  labelSmoothing: 'label_smoothing_factor label_smooth',
  loraPlusLrRatio: 'loraplus_ratio',
  seed: 'random_state random_seed rng_seed data_seed',
  // Evaluation.
  evalEvery: 'eval_steps evaluation_steps steps_per_eval eval_freq eval_interval val_check_interval',
  evalBatchSize: 'per_device_eval_batch_size valid_batch_size val_batch_size',
  earlyStopping: 'early_stopping_patience patience',
  keepBest: 'load_best_model_at_end save_best best_model',
  metricForBest: 'metric_for_best_model',
  sampleSteps: 'generate_every sample_every',
  evalAtStart: 'eval_on_start evaluate_at_start',
  // What is written.
  out: 'output_dir output_path out_dir save_path save_dir save_to',
  checkpointEvery: 'save_steps save_every save_freq save_interval checkpointing_steps checkpoint_steps',
  saveTotalLimit: 'save_limit keep_checkpoints max_checkpoints',
  resume: 'resume_from_checkpoint auto_resume_from_checkpoints auto_resume',
  overwrite: 'force overwrite_output_dir',
  reportTo: 'report tracker trackers log_with',
  loggingDir: 'log_dir tensorboard_dir',
  runName: 'experiment_name wandb_name wandb_run_name',
  // Memory and hardware.
  base: 'load_in_4bit load_in_8bit quantization quantize quant bits q_bits',
  recompute: 'gradient_checkpointing use_gradient_checkpointing grad_checkpoint activation_checkpointing checkpoint_activations',
  threads: 'num_threads n_threads num_proc',
  distributed: 'mpi',
  'dry-run': 'plan estimate',
  config: 'config_file',
  // Tasks.
  numLabels: 'num_classes',
  labels: 'label_names class_names',
  lossType: 'dpo_loss_type rl_loss_type',
  beta: 'dpo_beta orpo_alpha kto_beta rl_beta pref_beta',
  desirableWeight: 'kto_desirable_weight kto_chosen_weight',
  undesirableWeight: 'kto_undesirable_weight kto_rejected_weight',
  // Serving.
  modelName: 'served_model_name alias',
  maxRows: 'max_num_seqs parallel max_batch_size',
  maxLoras: 'max_active_adapters',
  // Generation.
  maxNewTokens: 'max_tokens num_tokens n_predict max_gen_len',
  temperature: 'temp',
  beams: 'num_beams beam_size n_beams',
  repetitionPenalty: 'repeat_penalty',
  noRepeatNgramSize: 'no_repeat_ngram',
  minNewTokens: 'min_tokens',
  eosTokenIds: 'eos_token_id stop_token_ids',
  stop: 'stop_strings stop_sequences',
}

/** The same for all spellings of a name: `lora_alpha`, `--lora-alpha`, `loraAlpha`. */
export const plainName = (name: string): string => name.toLowerCase().replace(/[-_.\s]/g, '')

const ours = new Map(
  Object.entries(synonyms).flatMap(([name, words]) => words.split(' ').map((word) => [plainName(word), name] as const)),
)

/** Our name for what somebody calls by another program's, in any spelling; undefined where there is none. */
export const ourNameFor = (word: string): string | undefined => ours.get(plainName(word))

/**
 * The one of some names that a word is a spelling of or another program's word for.
 * @param known each name, and what the table of synonyms calls it where that is something else
 */
export function knownAs(
  word: string,
  known: readonly (readonly [name: string, option?: string | undefined])[],
): string | undefined {
  const find = (wanted: string): string | undefined =>
    known.find(([name, option]) => plainName(name) === wanted || (option !== undefined && plainName(option) === wanted))?.[0]
  const meant = ourNameFor(word)
  return find(plainName(word)) ?? (meant === undefined ? undefined : find(plainName(meant)))
}
